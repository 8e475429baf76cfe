// Whoever can make a process complain cannot fill its disk: the rates, and that nothing is left out untold.

import { mock } from 'node:test';
import fc from 'fast-check';
import t from 'tap';
import { createLogger, EVENT_RESERVE, INFO_RATES, LogThrottle, SUPPRESSION_REPORT_MS, WARNING_RATES } from '@ztna/protocol';

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
      return written <= 500 + EVENT_RESERVE.burst + ms / 10 + ms / 1000 + 2 && written + suppressed === attempts;
    }),
    { numRuns: 50 },
  );
});

void t.test('a logger and its children share the rate, say what they left out, and never hold back fatal', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const { lines, destination } = collect();
  const log = createLogger({ name: 'test', destination });
  const child = log.child({ relay: 'relay-1' });
  for (let i = 0; i < 50; i++) {
    log.warn('flow_refused', { code: 'too_many_flows' });
    child.warn('flow_refused', { code: 'too_many_flows' });
    log.fatal('gone', { code: 'internal_error' });
  }
  const count = (event: string): number => lines.filter((line) => line.event === event).length;
  t.strictSame([count('flow_refused'), count('gone'), count('lines_suppressed')], [20, 50, 0]);
  t.strictSame(child.suppressed, { info: 0, warn: 80, error: 0 });
  mock.timers.tick(SUPPRESSION_REPORT_MS);
  t.match(lines.filter((line) => line.event === 'lines_suppressed'), [{ level: 'warn', of: 'flow_refused', lines: 80 }]);
  mock.timers.tick(SUPPRESSION_REPORT_MS);
  t.equal(count('lines_suppressed'), 1, 'told once');
});

void t.test('a flood of one event keeps no other out: each has a little of its own when all is used up', async (t) => {
  const throttle = new LogThrottle(0);
  for (let i = 0; i < 100_000; i++) throttle.admits('handshake_refused', 'tls_failed', `client ${i}`, 0);
  const after = Array.from({ length: 100 }, (_, i) => throttle.admits('reload_refused', `code ${i}`, undefined, 0));
  t.equal(after.filter(Boolean).length, EVENT_RESERVE.burst);
  t.notOk(throttle.admits('handshake_refused', 'tls_failed', 'one more', 0), 'the flood has had its own');
});

void t.test('lines of info that peers cause are held to a rate, and leave that of warnings alone', async (t) => {
  const { lines, destination } = collect();
  const log = createLogger({ name: 'test', destination });
  const count = (event: string): number => lines.filter((line) => line.event === event).length;
  const began = performance.now();
  for (let i = 0; i < 20_000; i++) {
    log.info('client_connected', { identity: 'mallory' });
    log.info('client_connected', { identity: `mallory ${i}` });
  }
  log.info('reloaded', { trigger: 'SIGHUP' });
  const seconds = (performance.now() - began) / 1000 + 1;
  const most = INFO_RATES.all.burst + EVENT_RESERVE.burst + (INFO_RATES.all.perSecond + EVENT_RESERVE.perSecond) * seconds;
  t.ok(count('client_connected') <= most, `${count('client_connected')} lines`);
  t.equal(log.suppressed.info, 40_000 - count('client_connected'));
  t.equal(count('reloaded'), 1, 'what the process itself has to say is written');
  for (let i = 0; i < WARNING_RATES.all.burst; i++) log.warn('client_refused', { identity: `bob ${i}` });
  t.equal(count('client_refused'), WARNING_RATES.all.burst);
  t.equal(log.suppressed.warn, 0);
});

void t.test('one identity that comes and goes has its few lines of each event', async (t) => {
  const throttle = new LogThrottle(0, INFO_RATES);
  const written = (ms: number): number => {
    let count = 0;
    for (let i = 0; i < 1000; i++) if (throttle.admits('client_connected', undefined, 'mallory', ms)) count++;
    return count;
  };
  t.equal(written(0), INFO_RATES.same.burst);
  t.equal(written(1000), INFO_RATES.same.perSecond);
  t.ok(throttle.admits('client_connected', undefined, 'alice', 1000), 'others have theirs');
});

void t.test('at level debug every line of info is written, as every line of debug is', async (t) => {
  const { lines, destination } = collect();
  const log = createLogger({ name: 'test', level: 'debug', destination });
  for (let i = 0; i < 5000; i++) log.info('client_connected', { identity: 'mallory' });
  t.equal(lines.length, 5000);
});
