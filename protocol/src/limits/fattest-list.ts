// Who holds most, at O(1) a change: members in doubly linked lists by the size of what they hold, four
// lists to each power of two. Owns the order only. `fattest` is within 25 % of the largest, which is as
// good for choosing whom to drop from; an exact heap would pay O(log n) with every datagram.

/** What a member carries for the list. Only the list writes these. */
export class FattestLink<T> {
  readonly member: T;
  level = -1;
  previous: FattestLink<T> | undefined = undefined;
  next: FattestLink<T> | undefined = undefined;

  constructor(member: T) {
    this.member = member;
  }
}

/** Below 2^10 everything is level 0; level 64 starts at 2^10 · 2^(63/4) = 53 MiB, and takes all above. */
const FLOOR_BITS = 10;
const LEVELS = 65;

export class FattestList<T> {
  /** Heads by level, allocated with the first member: most queues never have one. */
  #heads: (FattestLink<T> | undefined)[] | undefined;
  /** No member is above this level. */
  #top = -1;

  /** Files a member under what it holds now; `weight` is an integer of at least 0. */
  place(link: FattestLink<T>, weight: number): void {
    const level = levelOf(weight);
    if (level === link.level) return;
    this.remove(link);
    const heads = (this.#heads ??= new Array<FattestLink<T> | undefined>(LEVELS).fill(undefined));
    const head = heads[level];
    link.level = level;
    link.next = head;
    if (head) head.previous = link;
    heads[level] = link;
    if (level > this.#top) this.#top = level;
  }

  /** Takes a member out; nothing happens if it isn't in. */
  remove(link: FattestLink<T>): void {
    if (link.level < 0) return;
    if (link.previous) link.previous.next = link.next;
    else this.#heads![link.level] = link.next;
    if (link.next) link.next.previous = link.previous;
    link.previous = undefined;
    link.next = undefined;
    link.level = -1;
  }

  /** A member that holds at least 4/5 of what the largest holds, undefined if there is none. Looks at 65 lists at most. */
  fattest(): T | undefined {
    const heads = this.#heads;
    if (!heads) return undefined;
    while (this.#top >= 0) {
      const head = heads[this.#top];
      if (head) return head.member;
      this.#top--;
    }
    return undefined;
  }
}

/** The two bits below the leading one divide each power of two by four. */
const levelOf = (weight: number): number => {
  const bits = 31 - Math.clz32(weight);
  if (bits < FLOOR_BITS) return 0;
  return Math.min(LEVELS - 1, 1 + (bits - FLOOR_BITS) * 4 + ((weight >>> (bits - 2)) & 3));
};
