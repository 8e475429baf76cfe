// A handler that throws is a fault of ours, and whoever can cause it cannot fill the log with it.

import t from 'tap';
import { createLogger, reportHandlerErrors, WARNING_RATES, type LogLevel } from '@ztna/protocol';

const capture = (level: LogLevel = 'debug') => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ name: 'test', level, destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) } });
  return { lines, log };
};

t.test('a handler that throws is internal_error in the log; the stack at debug level', async (t) => {
  const { lines, log } = capture();
  const report = reportHandlerErrors(log);
  report(new Error('a bug'));
  report('not even an Error');
  t.match(lines, [
    { level: 'error', event: 'internal_error', code: 'internal_error', reason: 'a bug' },
    { level: 'debug', event: 'internal_error_stack', stack: /handler-errors/ },
    { level: 'error', event: 'internal_error', reason: 'not even an Error' },
  ]);
  t.equal(lines.length, 3);
});

t.test('however often it throws, the log has few lines of it, and the rest is counted', async (t) => {
  const { lines, log } = capture('info');
  const report = reportHandlerErrors(log);
  for (let i = 0; i < 1000; i++) report(new Error(`a bug, ${i}`));
  const { burst, perSecond } = WARNING_RATES.same;
  t.ok(lines.length >= burst && lines.length <= burst + 10 * perSecond, `${lines.length} lines`);
  t.equal(log.suppressed.error, 1000 - lines.length);
});
