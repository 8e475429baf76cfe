// That watched files changed, files that come to be watched included, and when, as far as the watcher can tell: what
// the time of a revocation is counted from.

import { mkdirSync, renameSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

import t, { type Test } from 'tap';
import { WatchedFiles } from '@ztna/protocol';

const INTERVAL_MS = 50;
/** The kernel stamps files with the time of its last tick, at most 10 ms ago. */
const TICK_MS = 10;

const watch = async (t: Test, path: string): Promise<{ next: () => Promise<number> }> => {
  let notice: (changedAt: number) => void = () => undefined;
  const watched = new WatchedFiles([path], (changedAt) => notice(changedAt), INTERVAL_MS);
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
  const watched = new WatchedFiles([first], () => onChange(), 5);
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
