// Whoever can make a process complain cannot fill its disk: the rates, and that nothing is left out untold.

import { mock } from 'node:test';
import fc from 'fast-check';
import t from 'tap';
import { createLogger, LogThrottle, SUPPRESSION_REPORT_MS } from '@ztna/protocol';

const collect = (): { lines: Record<string, unknown>[]; destination: { write(line: string): void } } => {
  const lines: Record<string, unknown>[] = [];
  return { lines, destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) } };
};

void t.test('the same line is written 20 times at once and then once a second', async (t) => {
  const throttle = new LogThrottle(0);
  let written = 0;
  for (let i = 0; i < 1000; i++) if (throttle.admits('handshake_refused', 'tls_failed', undefined, 0)) written++;
  t.equal(written, 20);
  for (let ms = 1; ms <= 10_000; ms++) if (throttle.admits('handshake_refused', 'tls_failed', undefined, ms)) written++;
  t.equal(written, 30);
  t.strictSame([...throttle.takeSuppressed()], [['handshake_refused', 11_000 - 30]]);
  t.strictSame([...throttle.takeSuppressed()], []);
});

void t.test('another event, code or identity has a rate of its own', async (t) => {
  const throttle = new LogThrottle(0);
  for (let i = 0; i < 100; i++) throttle.admits('control_fault', 'rate_limited', 'mallory', 0);
  t.notOk(throttle.admits('control_fault', 'rate_limited', 'mallory', 0));
  t.ok(throttle.admits('control_fault', 'rate_limited', 'alice', 0));
  t.ok(throttle.admits('control_fault', 'protocol_error', 'mallory', 0));
  t.ok(throttle.admits('client_refused', 'rate_limited', 'mallory', 0));
});

void t.test('a crowd of identities is held to the rate of all lines, and every line is written or counted', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), fc.integer({ min: 1, max: 5_000 }), (identities, ms) => {
      const throttle = new LogThrottle(0);
      let written = 0;
      const attempts = 6_000;
      for (let i = 0; i < attempts; i++) if (throttle.admits('client_refused', 'role_not_allowed', i % identities, (i * ms) / attempts)) written++;
      const suppressed = throttle.takeSuppressed().get('client_refused') ?? 0;
      return written <= 500 + ms / 10 + 1 && written + suppressed === attempts;
    }),
    { numRuns: 50 },
  );
});

void t.test('a logger and its children share the rate, say what they left out, and hold back neither info nor fatal', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { lines, destination } = collect();
  const log = createLogger({ name: 'test', destination });
  const child = log.child({ relay: 'relay-1' });
  for (let i = 0; i < 50; i++) {
    log.warn('flow_refused', { code: 'too_many_flows' });
    child.warn('flow_refused', { code: 'too_many_flows' });
    log.info('flow_opened');
    log.fatal('gone', { code: 'internal_error' });
  }
  const count = (event: string): number => lines.filter((line) => line.event === event).length;
  t.strictSame([count('flow_refused'), count('flow_opened'), count('gone'), count('lines_suppressed')], [20, 50, 50, 0]);
  mock.timers.tick(SUPPRESSION_REPORT_MS);
  t.match(lines.filter((line) => line.event === 'lines_suppressed'), [{ level: 'warn', of: 'flow_refused', lines: 80 }]);
  mock.timers.tick(SUPPRESSION_REPORT_MS);
  t.equal(count('lines_suppressed'), 1, 'told once');
});
