// Programs that tests run as clients and servers: whether they are here, and one run from start to
// end with its output. Owns no behaviour of the overlay.

import { spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { findProgram } from '@ztna/protocol/testing';
import type { Test } from 'tap';

/** Far beyond what any run here takes; a hung program must not hang the suite. */
const RUN_TIMEOUT_MS = 150_000;

export { findProgram as findTool };

/**
 * The full path of a program. Without it the test `t` is skipped with a note (return at once) or,
 * with ZTNA_REQUIRE_TOOLS=1, fails.
 */
export const requireTool = (t: Test, name: string): string | undefined => requireInstalled(t, name, findProgram(name));

/** The same for what is no program: `path`, or undefined where it is not there. */
export const requireInstalled = (t: Test, name: string, path: string | undefined): string | undefined => {
  if (path) return path;
  if (process.env.ZTNA_REQUIRE_TOOLS === '1') t.fail(`${name} is not installed and ZTNA_REQUIRE_TOOLS=1`);
  else t.plan(0, `${name} is not installed`);
  return undefined;
};

export interface RunOptions {
  /** Default: standard input is empty. */
  readonly input?: Buffer | Readable;
  /** Takes standard output chunk by chunk; `stdout` of the result stays empty. */
  readonly onOutput?: (chunk: Buffer) => void;
  readonly env?: NodeJS.ProcessEnv;
  /** Default: far beyond what an ordinary run takes. */
  readonly timeoutMs?: number;
}

export interface Finished {
  /** Exit code, or the signal's name. */
  readonly exit: number | NodeJS.Signals;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs a program to its end. Rejects when it cannot be started; a failing exit is a result. */
export const runTool = async (command: string, args: readonly string[], options: RunOptions = {}): Promise<Finished> => {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: options.timeoutMs ?? RUN_TIMEOUT_MS, env: { ...process.env, ...options.env } });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', options.onOutput ?? ((chunk: Buffer) => stdout.push(chunk)));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal!));
  });
  child.stdin.on('error', () => undefined); // a program may end before it has read everything
  if (options.input === undefined || Buffer.isBuffer(options.input)) child.stdin.end(options.input);
  else await pipeline(options.input, child.stdin).catch(() => undefined);
  const exit = await exited;
  return { exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() };
};
