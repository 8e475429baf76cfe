import { scheduleLateTurn, type LateTurn } from '@ztna/protocol';
import t from 'tap';

/** What happens, in order; `turn` marks where the event loop begins another turn. */
const recorded = (): { log: string[]; turn: (name: string, onFlush?: () => void) => LateTurn } => {
  const log: string[] = [];
  const turn = (name: string, onFlush = (): void => undefined): LateTurn => ({
    flush: () => {
      log.push(`${name} flushes`);
      onFlush();
    },
    settle: () => void log.push(`${name} settles`),
  });
  return { log, turn };
};

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

void t.test('whoever a flush makes due flushes in the same turn, and timers come after all of it', async (t) => {
  const { log, turn } = recorded();
  const outer = turn('outer');
  const inner = turn('inner', () => scheduleLateTurn(outer));
  scheduleLateTurn(inner);
  t.same(log, [], 'not before the turn of the event loop is over');
  await nextTurn();
  t.same(log, ['inner flushes', 'outer flushes', 'inner settles', 'outer settles']);
});

void t.test('two that keep each other busy let the event loop turn in between', async (t) => {
  const { log, turn } = recorded();
  let left = 6;
  const again = (next: () => LateTurn) => (): void => {
    if (left-- > 0) scheduleLateTurn(next());
  };
  const one: LateTurn = turn('one', again(() => two));
  const two: LateTurn = turn('two', again(() => one));
  scheduleLateTurn(one);
  await nextTurn();
  t.same(log, ['one flushes', 'two flushes', 'one settles', 'two settles']);
  for (let n = 0; n < 4; n++) await nextTurn();
  t.equal(log.filter((line) => line.endsWith('flushes')).length, 7, 'and none is forgotten');
});
