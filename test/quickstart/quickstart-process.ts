// A quickstart under test: started as `npm run quickstart` would, on free ports and in a directory of its own, so that
// tests and a quickstart of the developer's never meet.

import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

/** dist-test/quickstart → repository root. */
export const ROOT = resolve(fileURLToPath(new URL('.', import.meta.url)), '..', '..', '..');

const EVENT_TIMEOUT_MS = 60_000;

export class Quickstart {
  readonly child: ChildProcess;
  /** Exit code, or the signal's name, once output is complete. */
  readonly exited: Promise<number | NodeJS.Signals>;
  stdout = '';
  stderr = '';

  constructor(t: Test, readonly directory: string, args: readonly string[] = []) {
    const script = join(ROOT, 'scripts', 'quickstart.mjs');
    this.child = spawn(process.execPath, [script, '--dir', directory, '--port', '0', '--relay-port', '0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout!.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
    this.exited = new Promise((resolve) => this.child.once('close', (code, signal) => resolve(code ?? signal!)));
    t.teardown(async () => {
      this.child.kill('SIGTERM');
      await this.exited;
    });
  }

  get lastLine(): string | undefined {
    return this.stdout.trimEnd().split('\n').at(-1);
  }

  /** Resolves with the processes' pids and ports once the guide is printed. */
  async ready(): Promise<{ pids: Record<string, number>; port: number; relayPort: number }> {
    await this.printed(/Ctrl-C stops everything/);
    const rows = this.stdout.matchAll(/^ {2}(\d+) +(private app|relay|connector|agent) /gm);
    const pids: Record<string, number> = Object.fromEntries(Array.from(rows, ([, pid, role]): [string, number] => [role!, Number(pid)]));
    const port = Number(/agent +TCP 127\.0\.0\.1:(\d+)/.exec(this.stdout)?.[1]);
    const relayPort = Number(/relay +UDP 127\.0\.0\.1:(\d+)/.exec(this.stdout)?.[1]);
    return { pids, port, relayPort };
  }

  printed(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => settle(() => reject(new Error(`${why}\n${this.stdout}\n${this.stderr}`)));
      const timer = setTimeout(() => fail(`no ${pattern} in time`), EVENT_TIMEOUT_MS);
      const onEnd = (): void => fail(`ended without ${pattern}`);
      const onData = (): void => {
        if (pattern.test(this.stdout)) settle(resolve);
      };
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.child.stdout!.off('data', onData);
        this.child.off('close', onEnd);
        end();
      };
      this.child.stdout!.on('data', onData);
      this.child.once('close', onEnd);
      onData();
    });
  }
}

/** Pids of processes with `directory` on their command line: everything a quickstart starts names a file there. */
export const processesOf = (directory: string): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandLine(pid).includes(directory))
    .map(Number);

const commandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return ''; // It ended meanwhile.
  }
};
