// One worker as its parent sees it: a child process that is started again whenever it ends, with growing pauses, and
// killed when it no longer answers. Owns its life; what all workers do together is worker-pool.ts.

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { performance } from 'node:perf_hooks';
import type { FamilySnapshot, Logger, WorkerPlace } from '@ztna/protocol';
import type { FromWorker, ToWorker } from './worker-messages.js';

/** The first restart after so long, in ms; then twice that, and so on. */
const RESTART_MS = 100;
export const MAX_RESTART_MS = 5_000;
/** A worker that was up for so long is started again as if for the first time. */
const SETTLED_MS = 10_000;
/** A worker whose event loop has stood for four pings serves nobody: its clients' own patience is 15 s. */
const PING_MS = 5_000;
const MAX_UNANSWERED = 4;
/** The same for one that is being started, on a machine where everything is. */
const MAX_UNANSWERED_AT_START = 12;
/** For metrics: a busy worker answers in a turn of its event loop. */
const READ_TIMEOUT_MS = 1_000;

const ENTRY = fileURLToPath(new URL('./worker-main.js', import.meta.url));

export interface RelayWorkerInit {
  readonly place: WorkerPlace;
  /** The path of relay.yaml. */
  readonly config: string;
  /** Its socket of the shared port. */
  readonly descriptor: number;
  readonly log: Logger;
  /** Default 5000. */
  readonly pingMs?: number;
}

export class RelayWorker {
  /** Times it was started again. */
  restarts = 0;
  readonly place: WorkerPlace;
  readonly #init: RelayWorkerInit;
  #child: ChildProcess | undefined;
  #isReady = false;
  #stopping = false;
  #startedAt = 0;
  #failures = 0;
  #unanswered = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  readonly #pingTimer: NodeJS.Timeout;
  #lastRequest = 0;
  readonly #requests = new Map<number, (families: readonly FamilySnapshot[]) => void>();
  #onFirstReady: ((ready: boolean) => void) | undefined;
  #onGone: (() => void) | undefined;

  constructor(init: RelayWorkerInit) {
    this.#init = init;
    this.place = init.place;
    this.#pingTimer = setInterval(() => this.#ping(), init.pingMs ?? PING_MS).unref();
  }

  /** It takes packets. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** False: it ended before it was ready, and is not started again. */
  start(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#onFirstReady = resolve;
      this.#spawn();
    });
  }

  /** Passes a signal on. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  hurry(): void {
    this.#send({ kind: 'hurry' });
  }

  /** Resolves once the process has ended; it is not started again. @param timeoutMs after which it is killed */
  stop(timeoutMs: number): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    clearInterval(this.#pingTimer);
    const child = this.#child;
    if (!child) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
      this.#onGone = () => {
        clearTimeout(timer);
        resolve();
      };
      // One that is still starting has nobody to wait for, and does not listen yet.
      if (this.#isReady) this.#send({ kind: 'stop' });
      else child.kill('SIGKILL');
    });
  }

  /** Its metrics as they are now; none from one that is not ready or does not answer. */
  read(): Promise<readonly FamilySnapshot[]> {
    if (!this.#isReady) return Promise.resolve([]);
    const request = ++this.#lastRequest;
    return new Promise((resolve) => {
      const settle = (families: readonly FamilySnapshot[]): void => {
        clearTimeout(timer);
        this.#requests.delete(request);
        resolve(families);
      };
      const timer = setTimeout(() => settle([]), READ_TIMEOUT_MS);
      this.#requests.set(request, settle);
      this.#send({ kind: 'read', request });
    });
  }

  #spawn(): void {
    const { config, descriptor, place } = this.#init;
    const child = fork(ENTRY, [config, String(place.index), String(place.count)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc', descriptor] });
    this.#child = child;
    this.#startedAt = performance.now();
    this.#unanswered = 0;
    child.on('message', (message: FromWorker) => this.#handle(message));
    child.once('exit', (code, signal) => this.#handleEnd(child, signal ?? `exit ${String(code)}`));
    // It could not be started, or the channel broke: the first has no `exit`.
    child.on('error', (error) => child.pid === undefined && this.#handleEnd(child, error.message));
  }

  #handle(message: FromWorker): void {
    this.#unanswered = 0;
    if (message.kind === 'metrics') return this.#requests.get(message.request)?.(message.families);
    if (message.kind !== 'ready') return;
    this.#isReady = true;
    this.#onFirstReady?.(true);
    this.#onFirstReady = undefined;
    if (this.restarts > 0) this.#init.log.info('worker_restarted', { worker: this.place.index, restarts: this.restarts });
  }

  #handleEnd(child: ChildProcess, end: string): void {
    if (this.#child !== child) return;
    this.#child = undefined;
    this.#isReady = false;
    for (const settle of [...this.#requests.values()]) settle([]);
    if (this.#stopping) return this.#onGone?.();
    const fields = { worker: this.place.index, reason: end };
    if (this.#onFirstReady) {
      this.#init.log.error('worker_failed', fields);
      return this.#onFirstReady(false);
    }
    if (performance.now() - this.#startedAt > SETTLED_MS) this.#failures = 0;
    const restartInMs = Math.min(MAX_RESTART_MS, RESTART_MS * 2 ** this.#failures++);
    this.#init.log.error('worker_lost', { ...fields, restartInMs });
    this.#restartTimer = setTimeout(() => {
      this.restarts++;
      this.#spawn();
    }, restartInMs);
  }

  /** Counted in pings rather than time: a machine that slept is no reason. */
  #ping(): void {
    if (!this.#child) return;
    if (this.#unanswered >= (this.#isReady ? MAX_UNANSWERED : MAX_UNANSWERED_AT_START)) {
      this.#init.log.error('worker_silent', { worker: this.place.index, pings: this.#unanswered });
      this.#child.kill('SIGKILL');
      return;
    }
    this.#unanswered++;
    this.#send({ kind: 'ping' });
  }

  #send(message: ToWorker): void {
    // A channel that is closed belongs to a process whose end is about to be noticed.
    if (this.#child?.connected) this.#child.send(message, () => undefined);
  }
}
