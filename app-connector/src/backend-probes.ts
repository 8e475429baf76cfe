// Whether the backends answer: each TCP backend is connected to from time to time and the connection closed
// again, nothing sent. UDP backends are not probed: silence says nothing about them.

import { failureMeaning, type FailureCode, type ReadinessFault } from '@ztna/protocol';
import { dialTcpBackend } from './backend.js';
import type { ServedService } from './service.js';

/** Shorter than the connector's own patience with a flow: who takes this long is not healthy. */
export const BACKEND_PROBE_TIMEOUT_MS = 2_000;

type State = 'unknown' | 'up' | FailureCode;

export class BackendProbes {
  #services: readonly ServedService[];
  readonly #intervalMs: number;
  readonly #states: Map<string, State>;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param intervalMs from the end of one round to the start of the next */
  constructor(services: readonly ServedService[], intervalMs: number) {
    this.#services = services.filter(({ protocol }) => protocol === 'tcp');
    this.#intervalMs = intervalMs;
    this.#states = new Map(this.#services.map(({ name }) => [name, 'unknown']));
  }

  /** Those that are probed. */
  get services(): readonly string[] {
    return [...this.#states.keys()];
  }

  isUp(service: string): boolean {
    return this.#states.get(service) === 'up';
  }

  /** New backends of the same services; one that is served no more is not probed either. */
  setServices(services: readonly ServedService[]): void {
    this.#services = services.filter(({ name }) => this.#states.has(name));
    for (const name of this.#states.keys()) if (!services.some((service) => service.name === name)) this.#states.delete(name);
  }

  /** Begins with a round at once. */
  start(): void {
    void this.#round();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  faults(): ReadinessFault[] {
    return [...this.#states].flatMap(([about, state]) => {
      if (state === 'up') return [];
      return [{ check: 'backend' as const, about, reason: state === 'unknown' ? 'not probed yet' : failureMeaning(state) }];
    });
  }

  async #round(): Promise<void> {
    await Promise.all(this.#services.map((service) => this.#probe(service)));
    if (this.#stopped) return;
    this.#timer = setTimeout(() => void this.#round(), this.#intervalMs).unref();
  }

  async #probe({ name, backend }: ServedService): Promise<void> {
    const dialed = await dialTcpBackend(backend, BACKEND_PROBE_TIMEOUT_MS);
    if (dialed.ok) {
      dialed.socket.on('error', () => undefined);
      dialed.socket.destroy();
    }
    if (this.#states.has(name)) this.#states.set(name, dialed.ok ? 'up' : dialed.code);
  }
}
