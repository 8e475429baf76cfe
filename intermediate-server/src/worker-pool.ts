// All workers of a relay together: started, signalled, asked for their metrics and stopped. One by itself is relay-worker.ts.

import { RunFailure, showSnapshot, type MetricFamily, type ReadinessFault } from '@ztna/protocol';
import { RelayWorker, type RelayWorkerInit } from './relay-worker.js';

/** Beyond the time for draining, in ms, for what a worker writes and closes. */
const CLOSE_MS = 5_000;

export class WorkerPool {
  readonly #workers: readonly RelayWorker[];

  /** @param descriptors the sockets of the shared port: a worker for each */
  constructor(descriptors: readonly number[], init: Pick<RelayWorkerInit, 'config' | 'log'>) {
    const count = descriptors.length;
    this.#workers = descriptors.map((descriptor, index) => new RelayWorker({ ...init, descriptor, place: { index, count } }));
  }

  /** @throws RunFailure when one of them does not come up; the others are stopped then */
  async start(): Promise<void> {
    const up = await Promise.all(this.#workers.map((worker) => worker.start()));
    if (up.every(Boolean)) return;
    await this.stop(0);
    throw new RunFailure('internal_error', 'a worker ended before it was ready; what it said of it stands above');
  }

  /** SIGHUP and SIGUSR2, which mean to a worker what they mean to the relay. */
  signal(signal: NodeJS.Signals): void {
    for (const worker of this.#workers) worker.signal(signal);
  }

  /** Do not wait for sessions any longer. */
  hurry(): void {
    for (const worker of this.#workers) worker.hurry();
  }

  /** @param drainMs how long workers let sessions finish */
  async stop(drainMs: number): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop(drainMs + CLOSE_MS)));
  }

  /** Workers that take no packets now. */
  faults(): ReadinessFault[] {
    return this.#workers
      .filter(({ isReady }) => !isReady)
      .map(({ place }) => ({ check: 'listening', about: `worker ${place.index}`, reason: 'is being started again' }));
  }

  /** What the workers count, each with its number as label. */
  async collect(): Promise<MetricFamily[]> {
    const each = await Promise.all(
      this.#workers.map(async (worker) => showSnapshot(await worker.read(), 'worker', String(worker.place.index))),
    );
    return each.flat();
  }

  /** What only the parent knows. */
  get families(): MetricFamily[] {
    const worker = { values: this.#workers.map(({ place }) => String(place.index)), described: 'its number, from 0' };
    return [
      {
        type: 'gauge',
        name: 'ztna_relay_worker_up',
        help: 'Whether the worker takes packets, 1 or 0',
        labels: { worker },
        read: (emit) => this.#workers.forEach(({ isReady, place }) => emit(isReady ? 1 : 0, { worker: String(place.index) })),
      },
      {
        type: 'counter',
        name: 'ztna_relay_worker_restarts_total',
        help: 'Times the worker was started again',
        labels: { worker },
        read: (emit) => this.#workers.forEach(({ restarts, place }) => emit(restarts, { worker: String(place.index) })),
      },
    ];
  }
}
