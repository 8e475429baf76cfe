// Things that come out again after a fixed time, in their order. One timer, however many wait.

export class DelayLine<T> {
  readonly #delayMs: number;
  readonly #deliver: (item: T) => void;
  #queue: { readonly due: number; readonly item: T }[] = [];
  #head = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param delayMs 0: within the call */
  constructor(delayMs: number, deliver: (item: T) => void) {
    this.#delayMs = delayMs;
    this.#deliver = deliver;
  }

  get length(): number {
    return this.#queue.length - this.#head;
  }

  push(item: T): void {
    if (this.#delayMs === 0) return this.#deliver(item);
    this.#queue.push({ due: performance.now() + this.#delayMs, item });
    this.#timer ??= setTimeout(this.#onTimer, this.#delayMs);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#head = 0;
  }

  readonly #onTimer = (): void => {
    const now = performance.now();
    while (this.#head < this.#queue.length && this.#queue[this.#head]!.due <= now) this.#deliver(this.#queue[this.#head++]!.item);
    // Not shift(): it copies the whole queue each time.
    if (this.#head > 1024 || this.#head === this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    const next = this.#queue[this.#head];
    this.#timer = next && setTimeout(this.#onTimer, Math.max(1, next.due - now));
  };
}
