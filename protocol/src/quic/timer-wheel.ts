// One timer wheel per endpoint: thousands of connection deadlines behind a single setTimeout.
// Deadlines that move later (nearly all of them, with every packet) cost one store: the entry stays
// where it is filed and is filed anew when its slot comes round. No clock of its own.

const SLOTS = 1024;

export interface TimerEntry {
  /** When the entry is due, in ms; Infinity while disarmed. */
  due: number;
  /** The tick it is filed under, or -1. Owned by the wheel. */
  filedAt: number;
}

export class TimerWheel<T extends TimerEntry> {
  readonly #slots: T[][] = Array.from({ length: SLOTS }, () => []);
  /** Every tick below this has been handled. One tick is one millisecond. */
  #tick: number;
  #filed = 0;
  /** Not above the first tick that has something filed, or -1 when that has to be looked for. */
  #earliest = Infinity;

  constructor(now: number) {
    this.#tick = Math.floor(now);
  }

  /** Arms, moves or (Infinity) disarms an entry. */
  schedule(entry: T, due: number): void {
    entry.due = due;
    const tick = Math.max(Math.ceil(due), this.#tick);
    if (due === Infinity || (entry.filedAt >= 0 && entry.filedAt <= tick)) return;
    // Filed later than it is due: the old filing is recognised as stale by its tick.
    this.#file(entry, Math.min(tick, this.#tick + SLOTS - 1));
  }

  /** The earliest tick at which `advance` has something to look at, or undefined. */
  next(): number | undefined {
    if (this.#filed === 0) return undefined;
    if (this.#earliest < 0) {
      let tick = this.#tick;
      while (this.#slots[tick % SLOTS]!.length === 0) tick++;
      this.#earliest = tick;
    }
    return this.#earliest;
  }

  /** Calls `onDue` for each entry that is due by `now`; the entry is disarmed first. */
  advance(now: number, onDue: (entry: T) => void): void {
    const last = Math.floor(now);
    if (this.#filed === 0) {
      this.#tick = Math.max(this.#tick, last + 1);
      return;
    }
    // A process that slept longer than one turn still visits every slot only once.
    const end = Math.min(last, this.#tick + SLOTS - 1);
    const refile: T[] = [];
    const due: T[] = [];
    for (let tick = this.#tick; tick <= end; tick++) {
      const slot = this.#slots[tick % SLOTS]!;
      if (slot.length === 0) continue;
      this.#slots[tick % SLOTS] = [];
      this.#filed -= slot.length;
      for (const entry of slot) {
        if (entry.filedAt !== tick) continue; // a stale filing
        entry.filedAt = -1;
        if (entry.due === Infinity) continue;
        if (entry.due <= now) due.push(entry);
        else refile.push(entry);
      }
    }
    this.#tick = Math.max(this.#tick, last + 1);
    this.#earliest = this.#filed === 0 ? Infinity : -1;
    for (const entry of refile) this.schedule(entry, entry.due);
    for (const entry of due) {
      entry.due = Infinity;
      onDue(entry);
    }
  }

  #file(entry: T, tick: number): void {
    this.#slots[tick % SLOTS]!.push(entry);
    entry.filedAt = tick;
    this.#filed++;
    if (tick < this.#earliest) this.#earliest = tick;
  }
}
