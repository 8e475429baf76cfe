import { performance } from 'node:perf_hooks';
import { DeadlineTimer } from '@ztna/protocol';
import t from 'tap';

/** A timer whose deadlines are waited for. */
const watched = (): { timer: DeadlineTimer; fired: number[]; next: () => Promise<void> } => {
  const fired: number[] = [];
  let notice = (): void => undefined;
  const timer = new DeadlineTimer(() => {
    fired.push(performance.now());
    notice();
  });
  return { timer, fired, next: () => new Promise((resolve) => (notice = resolve)) };
};

void t.test('fires once for a deadline, however often it is armed for it', async (t) => {
  const { timer, fired, next } = watched();
  const at = performance.now() + 20;
  for (let n = 0; n < 1000; n++) timer.arm(at);
  await next();
  // Node's own clock for timers has whole milliseconds.
  t.ok(fired[0]! >= at - 1, 'not before it');
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.equal(fired.length, 1);
});

void t.test('can be armed for the same deadline again once it has fired', async (t) => {
  const { timer, fired, next } = watched();
  const at = performance.now();
  timer.arm(at);
  await next();
  timer.arm(at);
  await next();
  t.equal(fired.length, 2);
});

void t.test('an earlier deadline and a later one replace the one before', async (t) => {
  const { timer, fired, next } = watched();
  const start = performance.now();
  timer.arm(start + 60_000);
  timer.arm(start + 5);
  await next();
  t.ok(fired[0]! < start + 60_000);
  timer.arm(start + 5);
  timer.arm(performance.now() + 50);
  const second = performance.now();
  await next();
  t.ok(fired[1]! >= second + 40, 'at the later one');
});

void t.test('without a deadline it does not fire', async (t) => {
  const { timer, fired } = watched();
  timer.arm(performance.now() + 5);
  timer.arm(undefined);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(fired.length, 0);
});
