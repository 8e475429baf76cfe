// One quickstart per directory. The lock file names the process that holds it and those it started. It is made by
// link(2), so it is never seen half written; one left by a process that died is taken over, and what that
// process left running is ended.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, QuickstartFailure } from './failure.js';
import { identifyProcess, isAlive, isCertainlyAlive, isProcessIdentity, type ProcessIdentity } from './process-identity.js';

export const LOCK_FILE = 'quickstart.lock';

interface LockContent {
  readonly owner: ProcessIdentity;
  readonly started: readonly ProcessIdentity[];
}

export interface Lock {
  /** An earlier quickstart died here without cleaning up, so the files it made may be replaced. */
  readonly takenOver: boolean;
  /** Notes a process to end should this one die without doing so. */
  addProcess(pid: number): void;
  release(): void;
}

/** Two copies that find the same stale lock: one of them gets through, the other looks once more. */
const MAX_ATTEMPTS = 5;
const END_TIMEOUT_MS = 1_000;
const POLL_MS = 5;

/** @throws QuickstartFailure when another copy runs in `directory`, which has to exist */
export const acquireLock = (directory: string): Lock => {
  const path = join(directory, LOCK_FILE);
  const content = { owner: identifyProcess(process.pid), started: [] as ProcessIdentity[] };
  let takenOver = false;
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    if (createExclusively(path, content)) return toLock(path, content, takenOver);
    takenOver = removeStale(path) || takenOver;
  }
  throw new QuickstartFailure(`another quickstart is starting at this moment (${path}).`);
};

const toLock = (path: string, content: { owner: ProcessIdentity; started: ProcessIdentity[] }, takenOver: boolean): Lock => ({
  takenOver,
  addProcess: (pid) => {
    content.started.push(identifyProcess(pid));
    const next = `${path}.${process.pid}`;
    writeFileSync(next, JSON.stringify(content), { mode: 0o600 });
    renameSync(next, path);
  },
  release: () => rmSync(path, { force: true }),
});

const createExclusively = (path: string, content: LockContent): boolean => {
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify(content), { mode: 0o600 });
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(draft, { force: true });
  }
};

/** Whether there was a stale lock and it is gone. */
const removeStale = (path: string): boolean => {
  const seen = readLock(path);
  if (!seen) return false;
  if (isAlive(seen.content.owner)) {
    throw new QuickstartFailure(
      `it is running already, as pid ${seen.content.owner.pid}. Stop that one with Ctrl-C (or: kill ${seen.content.owner.pid}), or run this one beside it:\n` +
        `  npm run quickstart -- --dir certs/dev/second --port 8081 --relay-port 4434`,
    );
  }
  // Moved aside first: of two copies that saw the same stale lock, only one gets to move it.
  const aside = `${path}.stale.${process.pid}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false;
    throw error;
  }
  const moved = readLock(aside);
  if (moved && moved.text !== seen.text && isAlive(moved.content.owner)) {
    // The other copy was faster, and this is its fresh lock.
    renameSync(aside, path);
    return false;
  }
  rmSync(aside, { force: true });
  seen.content.started.forEach(endProcess);
  return true;
};

/** Returns once it is gone, so that its port is free again; waits for no longer than a second. */
const endProcess = (left: ProcessIdentity): void => {
  if (!isCertainlyAlive(left)) return;
  process.kill(left.pid, 'SIGKILL');
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < END_TIMEOUT_MS && isCertainlyAlive(left); waited += POLL_MS) Atomics.wait(pause, 0, 0, POLL_MS);
};

/** @throws QuickstartFailure for a file that no quickstart wrote */
const readLock = (path: string): { text: string; content: LockContent } | undefined => {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  const content = parseContent(text);
  if (!content) throw new QuickstartFailure(`${path} is no lock of a quickstart; if nothing needs it, remove it.`);
  return { text, content };
};

const parseContent = (text: string): LockContent | undefined => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('owner' in value) || !('started' in value)) return undefined;
  const { owner, started } = value;
  if (!isProcessIdentity(owner) || !Array.isArray(started) || !started.every(isProcessIdentity)) return undefined;
  return { owner, started };
};
