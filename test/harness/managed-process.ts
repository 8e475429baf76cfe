// A child process of a test: its log events as they come, its output, its memory, and its certain end.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { cpuMicroseconds } from '@ztna/protocol/testing';
import { probeHealth, type HealthPort } from './health-probe.js';

export interface LogEvent {
  readonly level: string;
  readonly name: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface SpawnOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Default false: standard input is closed. */
  readonly stdin?: boolean;
}

interface Waiter {
  readonly matches: (event: LogEvent) => boolean;
  readonly resolve: (event: LogEvent) => void;
  readonly reject: (error: Error) => void;
}

/** Long enough for a loaded machine; a test that waits this long has failed. */
const EVENT_TIMEOUT_MS = 30_000;

export class ManagedProcess {
  readonly child: ChildProcess;
  readonly events: LogEvent[] = [];
  /** Standard error lines that are no JSON. */
  readonly stderrLines: string[] = [];
  stdout = Buffer.alloc(0);
  /** Exit code, or the signal's name. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #waiters = new Set<Waiter>();
  readonly #lineWatchers = new Set<(line: string) => void>();
  #exit: number | NodeJS.Signals | undefined;
  #healthPort: HealthPort | undefined;
  /** Lines of events that were forgotten, and answers of the health port: shown all the same. */
  readonly #shownBefore: string[] = [];

  constructor(command: string, args: readonly string[], options: SpawnOptions = {}) {
    this.child = spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: [options.stdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    });
    this.child.stdout!.on('data', (chunk: Buffer) => (this.stdout = Buffer.concat([this.stdout, chunk])));
    createInterface({ input: this.child.stderr! }).on('line', (line) => this.#handleLine(line));
    this.exited = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code, signal) => {
        this.#exit = code ?? signal!;
        for (const waiter of this.#waiters) waiter.reject(new Error(`${command} exited with ${this.#exit} before the event came\n${this.log}`));
        resolve(this.#exit);
      });
    });
  }

  get pid(): number {
    return this.child.pid!;
  }

  get hasExited(): boolean {
    return this.#exit !== undefined;
  }

  /** Everything logged so far, for messages of failed tests. */
  get log(): string {
    return [...this.events.map((event) => JSON.stringify(event)), ...this.stderrLines].join('\n');
  }

  /** Everything it has shown anybody so far: all it wrote, forgotten events included, and what `askHealth` heard. */
  get shown(): string {
    return [...this.#shownBefore, this.log, this.stdout.toString('latin1')].join('\n');
  }

  /** Asks its health port, if it has one and runs, all that it answers. */
  async askHealth(): Promise<void> {
    if (this.#healthPort && !this.hasExited) this.#shownBefore.push(...(await probeHealth(this.#healthPort, this.child.spawnargs)));
  }

  /** The first event, past or to come, of that name whose fields match. Rejects when the process ends or time is up. */
  waitFor(event: string, fields: Readonly<Record<string, unknown>> = {}): Promise<LogEvent> {
    const matches = (seen: LogEvent): boolean =>
      seen.event === event && Object.entries(fields).every(([key, value]) => JSON.stringify(seen[key]) === JSON.stringify(value));
    return this.waitForEvent(matches, `${event} ${JSON.stringify(fields)}`);
  }

  waitForEvent(matches: (event: LogEvent) => boolean, what: string, timeoutMs?: number): Promise<LogEvent> {
    const past = this.events.find(matches);
    return past ? Promise.resolve(past) : this.waitForNext(matches, what, timeoutMs);
  }

  /** The next matching event, leaving out those that were logged before. */
  waitForNext(matches: (event: LogEvent) => boolean, what: string, timeoutMs = EVENT_TIMEOUT_MS): Promise<LogEvent> {
    if (this.hasExited) return Promise.reject(new Error(`exited without ${what}\n${this.log}`));
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => settle(() => reject(new Error(`no ${what} within ${timeoutMs} ms\n${this.log}`))), timeoutMs);
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        end();
      };
      const waiter: Waiter = {
        matches,
        resolve: (event) => settle(() => resolve(event)),
        reject: (error) => settle(() => reject(error)),
      };
      this.#waiters.add(waiter);
    });
  }

  /** The first line of standard error, past or to come, that is no log event and matches. */
  waitForLine(pattern: RegExp): Promise<string> {
    const past = this.stderrLines.find((line) => pattern.test(line));
    if (past !== undefined) return Promise.resolve(past);
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.#lineWatchers.delete(watch);
        end();
      };
      const watch = (line: string): void => {
        if (pattern.test(line)) settle(() => resolve(line));
      };
      const timer = setTimeout(() => settle(() => reject(new Error(`no line ${pattern} within ${EVENT_TIMEOUT_MS} ms\n${this.log}`))), EVENT_TIMEOUT_MS);
      this.#lineWatchers.add(watch);
      void this.exited.then((exit) => settle(() => reject(new Error(`exited with ${exit} without a line ${pattern}\n${this.log}`))));
    });
  }

  /** Forgets past events, so that `waitFor` only sees what comes next. */
  forgetEvents(): void {
    this.#shownBefore.push(...this.events.map((event) => JSON.stringify(event)));
    this.events.length = 0;
  }

  /** Resident memory in bytes. */
  rssBytes(): number {
    const pages = Number(readFileSync(`/proc/${this.pid}/statm`, 'utf8').split(' ')[1]);
    return pages * 4096;
  }

  /** CPU time of all its threads so far, µs. */
  cpuMicroseconds(): number {
    return cpuMicroseconds(this.pid);
  }

  /** SIGTERM, and SIGKILL for one that does not listen. */
  async stop(): Promise<number | NodeJS.Signals> {
    if (!this.hasExited) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  #handleLine(line: string): void {
    const event = parseEvent(line);
    if (!event) {
      this.stderrLines.push(line);
      for (const watch of [...this.#lineWatchers]) watch(line);
      return;
    }
    if (event.event === 'health_listening') this.#healthPort = { address: String(event.address), tls: event.tls === true };
    this.events.push(event);
    for (const waiter of [...this.#waiters]) if (waiter.matches(event)) waiter.resolve(event);
  }
}

const parseEvent = (line: string): LogEvent | undefined => {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogEvent;
  } catch {
    return undefined;
  }
};
