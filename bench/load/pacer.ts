// Packets at a fixed rate: what is due each millisecond, in runs, and never more than 20 ms of it at once. The same for
// everyone who offers load, so that subjects are offered the same.

import { performance } from 'node:perf_hooks';

/** As many as one GSO call takes of 1200-byte packets, and a few less. */
export const RUN_PACKETS = 40;
const TICK_MS = 1;
const CATCH_UP_S = 0.02;

export class Pacer {
  sent = 0;
  readonly #send: (packets: number) => void;
  #timer: NodeJS.Timeout | undefined;
  #rate = 0;
  #due = 0;
  #last = 0;

  /** @param send takes 1 to RUN_PACKETS of them */
  constructor(send: (packets: number) => void) {
    this.#send = send;
  }

  /** Packets per second; 0 stops. */
  setRate(rate: number): void {
    clearInterval(this.#timer);
    this.#rate = rate;
    this.#due = 0;
    this.#last = performance.now();
    if (rate > 0) this.#timer = setInterval(this.#onTick, TICK_MS);
  }

  readonly #onTick = (): void => {
    const now = performance.now();
    this.#due = Math.min(this.#due + ((now - this.#last) / 1000) * this.#rate, this.#rate * CATCH_UP_S);
    this.#last = now;
    while (this.#due >= 1) {
      const packets = Math.min(RUN_PACKETS, Math.floor(this.#due));
      this.#send(packets);
      this.#due -= packets;
      this.sent += packets;
    }
  };
}
