// `limits:` of relay.yaml: defaults are those of the code, one key moves one bound, and nonsense is refused by name.

import {
  DEFAULT_ADDRESS_VALIDATIONS,
  DEFAULT_CONNECTION_RATES,
  DEFAULT_FAIR_QUEUE_LIMITS,
  DEFAULT_HALF_OPEN_LIMITS,
  DEFAULT_QUEUE_BUDGET,
  DEFAULT_RELAY_LIMITS,
  DEFAULT_RESET_RATE,
  DEFAULT_SOURCE_LIMITS,
  MAX_IDLE_BYTES,
} from '@ztna/protocol';
import { limitsSection, PROMPTS_PER_SECOND, toRelayServerLimits } from '@ztna/intermediate-server';
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
    idleBytes: MAX_IDLE_BYTES,
    resets: DEFAULT_RESET_RATE,
    promptsPerSecond: PROMPTS_PER_SECOND,
  });
});

void t.test('one key moves one bound', async (t) => {
  const limits = read({ source: { handshakes: { burst: 7 } }, client: { idleTimeout: '20s' }, queues: { bytes: '1MiB' } });
  t.strictSame(limits.sources, { ...DEFAULT_SOURCE_LIMITS, handshakes: { perSecond: 20, burst: 7 } });
  t.strictSame(limits.machine, { ...DEFAULT_RELAY_LIMITS, idleTimeoutMs: 20_000 });
  t.strictSame(limits.queue, { ...DEFAULT_FAIR_QUEUE_LIMITS, bytes: 1024 * 1024 });
  const more = read({
    source: { overflow: { handshakes: { perSecond: 3 }, connections: 4 } },
    client: { unproductiveBytes: '1MiB' },
    sessions: { connectorsPerOpen: 2, idleTimeout: '2m' },
    queues: { flows: 9 },
    restart: { resets: { burst: 5 }, promptsPerSecond: 6 },
  });
  t.strictSame(more.sources, { ...DEFAULT_SOURCE_LIMITS, overflowHandshakes: { perSecond: 3, burst: 400 }, overflowConnections: 4 });
  t.strictSame(more.machine, { ...DEFAULT_RELAY_LIMITS, maxConnectorsPerOpen: 2, sessionIdleMs: 120_000 });
  t.strictSame(more.budget, { ...DEFAULT_QUEUE_BUDGET, flows: 9 });
  t.match(more, { idleBytes: 1024 * 1024, resets: { perSecond: 500, burst: 5 }, promptsPerSecond: 6 });
});

void t.test('what can hold nothing, or contradicts itself, is refused where it stands', async (t) => {
  t.strictSame(faultPaths({ connections: 0 }), ['connections']);
  t.strictSame(faultPaths({ source: { handshakes: { perSecond: 0.5 } } }), ['source.handshakes.perSecond']);
  t.strictSame(faultPaths({ client: { services: 65 } }), ['client.services']);
  t.strictSame(faultPaths({ client: { idleTimeout: '14s' } }), ['client.idleTimeout']);
  t.strictSame(faultPaths({ client: { idleTimeout: '31s' } }), ['client.idleTimeout']);
  t.strictSame(faultPaths({ handshake: { timeout: '1s' } }), ['handshake.pressedTimeout']);
  t.strictSame(faultPaths({ queues: { bytes: '1KiB' } }), ['queues.bytes']);
  t.strictSame(faultPaths({ sessions: { idleTimeout: '59s' } }), ['sessions.idleTimeout']);
  t.strictSame(faultPaths({ client: { unproductiveBytes: '1KiB' } }), ['client.unproductiveBytes']);
  t.strictSame(faultPaths({ queues: { total: '1MiB' } }), ['queues.total']);
});
