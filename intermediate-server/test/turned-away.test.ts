// What the log says of clients turned away: little, with counts, and no address above debug level.

import { createLogger, type LogLevel } from '@ztna/protocol';
import { TurnedAway } from '@ztna/intermediate-server';
import t from 'tap';

const capture = (level: LogLevel) => {
  const lines: Record<string, unknown>[] = [];
  let onLine: () => void = () => undefined;
  const write = (line: string): void => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
    onLine();
  };
  return { lines, log: createLogger({ name: 'test', level, destination: { write } }), next: () => new Promise<void>((resolve) => (onLine = resolve)) };
};

t.test('the first client is told of at once, those after it together, by reason', async (t) => {
  const { lines, log, next } = capture('info');
  const turnedAway = new TurnedAway(log, 20);
  const keepAlive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(keepAlive));
  turnedAway.note('half_open_limit', { host: '192.0.2.1', port: 1 });
  t.match(lines, [{ level: 'warn', event: 'clients_turned_away', half_open_limit: 1 }]);
  for (let i = 0; i < 100; i++) turnedAway.note(i % 2 ? 'half_open_limit' : 'source_connections', { host: '192.0.2.1', port: i });
  t.equal(lines.length, 1);
  await next();
  t.match(lines[1], { half_open_limit: 50, source_connections: 50 });
  t.notMatch(JSON.stringify(lines), '192.0.2.1');
});

t.test('what was not told yet is told when the relay stops; an address is at debug level, one with each line', async (t) => {
  const { lines, log } = capture('debug');
  const turnedAway = new TurnedAway(log);
  for (let i = 1; i <= 3; i++) turnedAway.note('source_handshake_rate', { host: '192.0.2.1', port: i });
  turnedAway.stop();
  t.match(lines, [
    { level: 'debug', event: 'clients_turned_away_address', address: '192.0.2.1:1', reason: 'source_handshake_rate' },
    { source_handshake_rate: 1 },
    { source_handshake_rate: 2 },
  ]);
  t.equal(lines.length, 3);
  turnedAway.stop();
  t.equal(lines.length, 3);
});
