// The one setTimeout behind a timer wheel: armed for the wheel's earliest tick, moved only to come earlier.

import { performance } from 'node:perf_hooks';
import type { TimerEntry, TimerWheel } from './timer-wheel.js';

export class WheelTimer<T extends TimerEntry> {
  readonly #wheel: TimerWheel<T>;
  readonly #onDue: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at = Infinity;
  #stopped = false;

  /** @param onDue advances the wheel; called once per arming */
  constructor(wheel: TimerWheel<T>, onDue: () => void) {
    this.#wheel = wheel;
    this.#onDue = onDue;
  }

  /** After anything that may have given the wheel an earlier deadline. */
  arm(): void {
    const at = this.#wheel.next() ?? Infinity;
    if (at >= this.#at || this.#stopped) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(this.#fire, Math.max(0, at - performance.now()));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  readonly #fire = (): void => {
    this.#at = Infinity;
    this.#onDue();
  };
}
