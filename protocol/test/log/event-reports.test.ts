// Events that a peer can cause at will are few lines in the log, and say how many they stand for.

import t from 'tap';
import { createLogger, EVENT_INTERVAL_MS, EventQuota, reportHandlerErrors, type LogLevel } from '@ztna/protocol';

const capture = (level: LogLevel = 'debug') => {
  const lines: Record<string, unknown>[] = [];
  const log = createLogger({ name: 'test', level, destination: { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) } });
  return { lines, log };
};

t.test('the first event has a line at once, later ones one in each interval, with their number', async (t) => {
  const quota = new EventQuota(100);
  t.equal(quota.take(5), 1);
  for (let i = 0; i < 9; i++) t.equal(quota.take(50), undefined);
  t.equal(quota.take(104), undefined);
  t.equal(quota.take(105), 11);
  t.equal(quota.take(300), 1);
});

t.test('a handler that throws is internal_error in the log, once in 10 s however often; the stack at debug level', async (t) => {
  const { lines, log } = capture();
  let now = 0;
  const report = reportHandlerErrors(log, () => now);
  for (let i = 0; i < 1000; i++) report(new Error('a bug'));
  now = EVENT_INTERVAL_MS;
  report('not even an Error');
  t.match(lines, [
    { level: 'error', event: 'internal_error', code: 'internal_error', reason: 'a bug', count: 1 },
    { level: 'debug', event: 'internal_error_stack', stack: /event-reports/ },
    { level: 'error', event: 'internal_error', reason: 'not even an Error', count: 1000 },
  ]);
  t.equal(lines.length, 3);
  const quiet = capture('info');
  reportHandlerErrors(quiet.log)(new Error('a bug'));
  t.equal(quiet.lines.length, 1);
});
