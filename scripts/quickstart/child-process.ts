// One process that quickstart started: its log events as they come, its last lines for when something goes wrong,
// and its certain end. Which processes there are, and their order, is process-group.ts.

import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { formatPretty } from '@ztna/protocol';
import { errorCode, QuickstartFailure } from './failure.js';
import type { ProcessRole } from './names.js';

export interface ChildSpec {
  readonly role: ProcessRole;
  /** A compiled script and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  readonly config: string;
  /** Gets every line, in the form for people. */
  readonly logFile: string;
}

export interface LogEvent {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

interface Waiter {
  readonly event: string;
  readonly resolve: (event: LogEvent) => void;
  readonly reject: (error: QuickstartFailure) => void;
}

/** Starting takes well under a second; a machine at its limits may need longer. */
const START_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 3_000;
const SHOWN_LINES = 8;

export class ManagedChild {
  readonly role: ProcessRole;
  readonly config: string;
  /** Resolves when the process is gone and its log is complete. Never rejects. */
  readonly exited: Promise<void>;
  readonly #child: ChildProcess;
  readonly #log: WriteStream;
  readonly #seen: LogEvent[] = [];
  readonly #lastLines: string[] = [];
  readonly #waiters = new Set<Waiter>();
  #ending: string | undefined;

  /** @param onEvent called with each log event and its line for people */
  constructor(spec: ChildSpec, onEvent: (event: LogEvent, line: string) => void) {
    this.role = spec.role;
    this.config = spec.config;
    this.#log = createWriteStream(spec.logFile, { flags: 'wx', mode: 0o600 });
    // A full disk ends logging, not the overlay.
    this.#log.on('error', () => undefined);
    this.#child = spawn(process.execPath, [spec.script, ...spec.args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: the terminal's Ctrl-C reaches quickstart alone, which then ends them in order.
      detached: process.platform !== 'win32',
    });
    const lines = createInterface({ input: this.#child.stderr! });
    lines.on('line', (line) => this.#handleLine(line, onEvent));
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        if (this.#ending !== undefined) return;
        this.#ending = how;
        for (const waiter of this.#waiters) waiter.reject(this.failure(`the ${this.role} ${how} before it was ready.`));
        this.#waiters.clear();
        this.#log.end(resolve);
        if (this.#log.destroyed) resolve();
      };
      this.#child.once('error', (error) => end(`could not be started (${errorCode(error) ?? error.message})`));
      this.#child.once('close', (code, signal) => end(signal ? `was ended by ${signal}` : `exited with code ${code ?? 0}`));
    });
  }

  /** Undefined only when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How it ended; undefined while it runs. */
  get ending(): string | undefined {
    return this.#ending;
  }

  /**
   * The first log event of that name, past or to come.
   * @throws QuickstartFailure when the process ends first, or takes too long, with its last lines
   */
  waitFor(event: string): Promise<LogEvent> {
    const past = this.#seen.find((seen) => seen.event === event);
    if (past) return Promise.resolve(past);
    if (this.#ending !== undefined) return Promise.reject(this.failure(`the ${this.role} ${this.#ending} before it was ready.`));
    return new Promise((resolve, reject) => {
      const late = (): void => {
        this.#waiters.delete(waiter);
        reject(this.failure(`the ${this.role} was not ready after ${START_TIMEOUT_MS / 1000} s (no "${event}" in its log).`));
      };
      const timer = setTimeout(late, START_TIMEOUT_MS);
      const waiter: Waiter = {
        event,
        resolve: (seen) => (clearTimeout(timer), resolve(seen)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      };
      this.#waiters.add(waiter);
    });
  }

  /** A failure that shows what the process said last. */
  failure(message: string): QuickstartFailure {
    const said = this.#lastLines.length === 0 ? 'It said nothing.' : `The last it said:\n${this.#lastLines.map((line) => `  ${line}`).join('\n')}`;
    return new QuickstartFailure(`${message} ${said}`);
  }

  /** SIGTERM, and SIGKILL for one that has not ended after 3 s. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.kill(), STOP_TIMEOUT_MS);
    await this.exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#signal('SIGKILL');
  }

  #signal(signal: NodeJS.Signals): void {
    // Node forgets the pid of a child it has reaped, so this never reaches a stranger.
    if (this.#ending === undefined) this.#child.kill(signal);
  }

  #handleLine(line: string, onEvent: (event: LogEvent, line: string) => void): void {
    const shown = formatPretty(line);
    this.#log.write(`${shown}\n`);
    this.#lastLines.push(shown);
    if (this.#lastLines.length > SHOWN_LINES) this.#lastLines.shift();
    const event = parseEvent(line);
    if (!event) return;
    // Only what comes before readiness is waited for.
    if (this.#seen.length < 64) this.#seen.push(event);
    for (const waiter of this.#waiters) {
      if (waiter.event !== event.event) continue;
      this.#waiters.delete(waiter);
      waiter.resolve(event);
    }
    onEvent(event, shown);
  }
}

const parseEvent = (line: string): LogEvent | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'event' in value && 'level' in value ? (value as LogEvent) : undefined;
  } catch {
    return undefined;
  }
};
