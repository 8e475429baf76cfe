// The one timer of a machine's driver. Drivers arm it after every input to their machine, which is after every datagram,
// and the deadline is nearly always the one it is armed for already: then it costs a comparison.

import { performance } from 'node:perf_hooks';

export class DeadlineTimer {
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at: number | undefined;

  /** @param onDue called once per deadline, not before it; arms the next */
  constructor(onDue: () => void) {
    this.#onDue = onDue;
  }

  /** @param at in ms of `performance.now()`; undefined: none */
  arm(at: number | undefined): void {
    if (at === this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    if (at !== undefined) this.#timer = setTimeout(this.#fire, Math.max(0, Math.ceil(at - performance.now())));
  }

  readonly #fire = (): void => {
    this.#at = undefined;
    this.#onDue();
  };
}
