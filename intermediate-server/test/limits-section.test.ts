// `limits:` of relay.yaml: defaults are those of the code, one key moves one bound, and nonsense is refused by name.

import {
  DEFAULT_ADDRESS_VALIDATIONS,
  DEFAULT_CONNECTION_RATES,
  DEFAULT_FAIR_QUEUE_LIMITS,
  DEFAULT_HALF_OPEN_LIMITS,
  DEFAULT_QUEUE_BUDGET,
  DEFAULT_RELAY_LIMITS,
  DEFAULT_SOURCE_LIMITS,
} from '@ztna/protocol';
import { limitsSection, toRelayServerLimits } from '@ztna/intermediate-server';
import t from 'tap';

const read = (section: unknown) => toRelayServerLimits(limitsSection.parse(section));

const faultPaths = (section: unknown): string[] =>
  limitsSection.safeParse(section).error?.issues.map(({ path }) => path.join('.')) ?? [];

void t.test('nothing said is every default', async (t) => {
  t.strictSame(read(undefined), {
    maxConnections: 12_000,
    sources: DEFAULT_SOURCE_LIMITS,
    halfOpen: DEFAULT_HALF_OPEN_LIMITS,
    validations: DEFAULT_ADDRESS_VALIDATIONS,
    rates: DEFAULT_CONNECTION_RATES,
    machine: DEFAULT_RELAY_LIMITS,
    queue: DEFAULT_FAIR_QUEUE_LIMITS,
    budget: DEFAULT_QUEUE_BUDGET,
  });
});

void t.test('one key moves one bound', async (t) => {
  const limits = read({ source: { handshakes: { burst: 7 } }, client: { idleTimeout: '20s' }, queues: { bytes: '1MiB' } });
  t.strictSame(limits.sources, { ...DEFAULT_SOURCE_LIMITS, handshakes: { perSecond: 20, burst: 7 } });
  t.strictSame(limits.machine, { ...DEFAULT_RELAY_LIMITS, idleTimeoutMs: 20_000 });
  t.strictSame(limits.queue, { ...DEFAULT_FAIR_QUEUE_LIMITS, bytes: 1024 * 1024 });
});

void t.test('what can hold nothing, or contradicts itself, is refused where it stands', async (t) => {
  t.strictSame(faultPaths({ connections: 0 }), ['connections']);
  t.strictSame(faultPaths({ source: { handshakes: { perSecond: 0.5 } } }), ['source.handshakes.perSecond']);
  t.strictSame(faultPaths({ client: { services: 65 } }), ['client.services']);
  t.strictSame(faultPaths({ client: { idleTimeout: '14s' } }), ['client.idleTimeout']);
  t.strictSame(faultPaths({ client: { idleTimeout: '31s' } }), ['client.idleTimeout']);
  t.strictSame(faultPaths({ handshake: { timeout: '1s' } }), ['handshake.pressedTimeout']);
  t.strictSame(faultPaths({ queues: { bytes: '1KiB' } }), ['queues.bytes']);
  t.strictSame(faultPaths({ queues: { total: '1MiB' } }), ['queues.total']);
});
