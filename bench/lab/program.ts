// A child process of a benchmark: its JSON lines as they come, its CPU time and memory, and its certain end, also
// when the benchmark itself is interrupted. Owns no meaning of the lines.

import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { cpuMicroseconds } from '@ztna/protocol/testing';
import type { Site } from './network.js';

type Fields = Readonly<Record<string, unknown>>;

const WAIT_MS = 30_000;
/** From SIGTERM to SIGKILL: a relay drains for less. */
const STOP_MS = 5_000;
const KEPT_LINES = 40;

const running = new Set<Program>();
// The last resort: after an exception, or when a signal ended the benchmark before its teardown did.
process.once('exit', () => {
  for (const program of running) program.child.kill('SIGKILL');
});

export interface ProgramOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** Lines that `log` remembers. Default: enough for a message about a failure. */
  readonly keptLines?: number;
}

export class Program {
  readonly child: ChildProcess;
  /** Fields of all JSON lines so far; later ones win. */
  readonly state: Record<string, unknown> = {};
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #command: string;
  readonly #lines: string[] = [];
  readonly #keptLines: number;
  readonly #watchers = new Set<() => void>();
  #exit: number | NodeJS.Signals | undefined;

  /** Standard input stays open: programs of ours end with it, should this process vanish. */
  constructor(site: Site, command: string, args: readonly string[], options: ProgramOptions = {}) {
    const [file, ...words] = site.command(command, args);
    this.#keptLines = options.keptLines ?? KEPT_LINES;
    this.#command = [command, ...args].join(' ');
    this.child = spawn(file!, words, { cwd: options.cwd, env: { ...process.env, ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
    running.add(this);
    this.child.stdin!.on('error', () => undefined); // it may end before it has read everything
    for (const stream of [this.child.stdout!, this.child.stderr!]) createInterface({ input: stream }).on('line', (line) => this.#handleLine(line));
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', (cause) => {
        running.delete(this);
        reject(new Error(`${command} cannot be started: ${cause.message}`, { cause }));
      });
      this.child.once('close', (code, signal) => {
        running.delete(this);
        this.#exit = code ?? signal!;
        resolve(this.#exit);
        this.#notify();
      });
    });
    this.ended.catch(() => undefined);
  }

  /** This Node with a script. */
  static node(site: Site, script: string, args: readonly string[], options: ProgramOptions = {}): Program {
    return new Program(site, process.execPath, [script, ...args], options);
  }

  get pid(): number {
    return this.child.pid!;
  }

  get hasEnded(): boolean {
    return this.#exit !== undefined;
  }

  /** Its last lines. */
  get log(): string {
    return this.#lines.join('\n');
  }

  /** Sends one JSON line. */
  tell(request: Fields): void {
    this.child.stdin!.write(`${JSON.stringify(request)}\n`);
  }

  number(field: string): number {
    return Number(this.state[field] ?? 0);
  }

  /** Resolves once the condition holds, looked at after each line. Rejects when the program ends first. */
  until(condition: () => boolean, what: string, timeoutMs = WAIT_MS): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        end();
      };
      const fail = (how: string): void => settle(() => reject(new Error(`${this.#command}\n${how} ${what}\n${this.log}`)));
      const look = (): void => {
        if (condition()) settle(resolve);
        else if (this.#exit !== undefined) fail(`ended with ${this.#exit} before`);
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms without`), timeoutMs);
      this.#watchers.add(look);
      this.ended.catch((error: Error) => settle(() => reject(error)));
      look();
    });
  }

  /** Resolves with a field once it was reported. */
  async field(name: string, timeoutMs?: number): Promise<unknown> {
    await this.until(() => this.state[name] !== undefined, name, timeoutMs);
    return this.state[name];
  }

  /** Resolves once a line, JSON or not, matches. */
  line(pattern: RegExp, timeoutMs?: number): Promise<void> {
    return this.until(() => this.#lines.some((line) => pattern.test(line)), String(pattern), timeoutMs);
  }

  /** CPU time of all its threads so far, µs. */
  cpuMicroseconds(): number {
    return cpuMicroseconds(this.pid);
  }

  /** Bytes of memory that are its own: anonymous pages, without the programs and libraries it maps. */
  memoryBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)![1]) * 1024;
  }

  async stop(): Promise<void> {
    if (this.#exit !== undefined) return;
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_MS);
    await this.ended.catch(() => undefined);
    clearTimeout(timer);
  }

  #handleLine(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > this.#keptLines) this.#lines.shift();
    if (line.startsWith('{')) {
      try {
        Object.assign(this.state, JSON.parse(line));
      } catch {
        // not one of ours
      }
    }
    this.#notify();
  }

  #notify(): void {
    for (const look of [...this.#watchers]) look();
  }
}
