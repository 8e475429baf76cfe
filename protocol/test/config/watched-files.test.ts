// That watched files changed, files that come to be watched included, and when, as far as the watcher can tell: what
// the time of a revocation is counted from.

import { appendFileSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import t, { type Test } from 'tap';
import { WatchedFiles } from '@ztna/protocol';

const INTERVAL_MS = 50;
/** The kernel stamps files with the time of its last tick, at most 10 ms ago. */
const TICK_MS = 10;

const watch = async (t: Test, path: string): Promise<{ next: () => Promise<number> }> => {
  let notice: (changedAt: number) => void = () => undefined;
  const watched = new WatchedFiles([path], (changedAt) => notice(changedAt), { intervalMs: INTERVAL_MS, settleMs: 5 });
  await watched.start();
  t.teardown(() => watched.stop());
  // The watcher alone does not keep the process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  return { next: () => new Promise((resolve) => (notice = resolve)) };
};

void t.test('a file is watched from the moment it is named: a change before the next look counts', async (t) => {
  const directory = t.testdir({});
  const [first, second, third] = ['first', 'second', 'third'].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(first, 'a');
  writeFileSync(second, 'a');
  let onChange: () => void = () => undefined;
  const watched = new WatchedFiles([first], () => onChange(), { intervalMs: 5, settleMs: 5 });
  t.teardown(() => watched.stop());
  // The watch itself keeps no process alive.
  const keepAlive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(keepAlive));
  await watched.start();
  const changed = new Promise<void>((resolve) => (onChange = resolve));
  watched.setPaths([first, second]);
  writeFileSync(second, 'longer');
  await changed;
  const gone = new Promise<void>((resolve) => (onChange = resolve));
  watched.setPaths([first, second, third]);
  writeFileSync(third, 'it was not there');
  await gone;
});

void t.test('a file that is written changed when it was written, whatever date it claims', async (t) => {
  const path = `${t.testdir({ deny: 'a' })}/deny`;
  const { next } = await watch(t, path);
  const changed = next();
  // No change is told to be older than the last look: a stamp of the look's own tick could be, by what is left of that tick.
  await wait(2 * TICK_MS);
  const before = Date.now();
  writeFileSync(path, 'b');
  utimesSync(path, 1, 1);
  const { ctimeMs } = statSync(path);
  const at = await changed;
  t.ok(at >= before - TICK_MS && at <= Date.now(), `${at - before} ms after it was written`);
  t.ok(Math.abs(at - ctimeMs) < 1, 'by its ctime');
});

void t.test('a symlink swapped to an older file changed no earlier than the look before', async (t) => {
  const folder = t.testdir({ old: { deny: 'a' }, current: {} });
  mkdirSync(`${folder}/new`);
  writeFileSync(`${folder}/new/deny`, 'b');
  const path = `${folder}/current/deny`;
  symlinkSync(`${folder}/new/deny`, path);
  await wait(2 * INTERVAL_MS);
  const { next } = await watch(t, path);
  const started = Date.now();
  const changed = next();
  symlinkSync(`${folder}/old/deny`, `${folder}/current/swap`);
  renameSync(`${folder}/current/swap`, path);
  const at = await changed;
  t.ok(at >= started - INTERVAL_MS && at <= Date.now(), 'not when the old file was written');
});

void t.test('a file that is gone changed between two looks', async (t) => {
  const path = `${t.testdir({ deny: 'a' })}/deny`;
  const { next } = await watch(t, path);
  const started = Date.now();
  const changed = next();
  renameSync(path, `${path}.gone`);
  const at = await changed;
  t.ok(at >= started - INTERVAL_MS && at <= Date.now());
});

/** Watches one file, at short intervals; every change told is in `told`, as what the file held then. */
const readOnChange = async (t: Test, path: string, settleMs: number): Promise<{ readonly told: string[]; readonly next: () => Promise<void>; readonly stop: () => void }> => {
  const told: string[] = [];
  let tell: () => void = () => undefined;
  const watched = new WatchedFiles([path], () => (told.push(readFileSync(path, 'utf8')), tell()), { intervalMs: 5, settleMs });
  await watched.start();
  t.teardown(() => watched.stop());
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(alive));
  return { told, next: () => new Promise((resolve) => (tell = resolve)), stop: () => watched.stop() };
};

void t.test('a file written in parts is told once, when it is whole', async (t) => {
  const path = `${t.testdir({ policy: 'rules:\n' })}/policy`;
  const { told, next } = await readOnChange(t, path, 400);
  const changed = next();
  writeFileSync(path, 'rules:\n- first\n');
  for (const rule of ['second', 'third', 'fourth']) {
    await wait(100); // shorter than a file has to rest
    appendFileSync(path, `- ${rule}\n`);
  }
  await changed;
  t.same(told, ['rules:\n- first\n- second\n- third\n- fourth\n']);
});

void t.test('a file that never rests is told all the same', async (t) => {
  const path = `${t.testdir({ log: '' })}/log`;
  const { told, next, stop } = await readOnChange(t, path, 20);
  const changed = next();
  const writer = setInterval(() => appendFileSync(path, 'x'), 1);
  await changed;
  clearInterval(writer);
  stop();
  t.equal(told.length, 1);
  t.not(told[0], '');
});
