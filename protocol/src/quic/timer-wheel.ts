// One timer wheel per endpoint: thousands of connection deadlines behind a single setTimeout. No clock of its own.
//
// Two rings. The near one has a slot for each millisecond of the next second, the far one a slot for each second of the
// next minute, whose entries are filed anew when their second begins. A deadline that moves later costs one store: the
// entry stays where it is filed, and is filed anew when that comes round. A connection's deadline goes back and forth
// between an answer that may be overdue and the idle timeout: it keeps a place in each ring, and only a place that is
// the deadline's own has the process woken up (10 000 idle clients: 1000 times a second else, for nothing).

/** Slots of the near ring, of a tick each, and ticks of a slot of the far one. One tick is one millisecond. */
const NEAR_SLOTS = 1024;
const FAR_SLOTS = 64;

export interface TimerEntry {
  /** When the entry is due, in ms; Infinity while disarmed. */
  due: number;
  /** Where the wheel has filed it: its alone. */
  readonly filing: TimerFiling;
}

/** An entry's places in the wheel. */
export class TimerFiling {
  /** The tick of its slot in the near ring, or -1. */
  near = -1;
  /** The first tick of its slot in the far ring, or -1. */
  far = -1;
  /** The deadline is reached by way of the near place; else by way of the far one, or it is disarmed. */
  isNear = false;
}

export class TimerWheel<T extends TimerEntry> {
  readonly #near: T[][] = Array.from({ length: NEAR_SLOTS }, () => []);
  readonly #far: T[][] = Array.from({ length: FAR_SLOTS }, () => []);
  /** Entries of each near slot whose deadline is reached by way of it. */
  readonly #awaited = new Int32Array(NEAR_SLOTS);
  /** Every tick below this has been handled. */
  #tick: number;
  /** Places taken, abandoned ones included. */
  #nearFiled = 0;
  #farFiled = 0;
  /** Not above the first tick that has to be handled in time, or -1 when that has to be looked for. */
  #earliest = Infinity;

  constructor(now: number) {
    this.#tick = Math.floor(now);
  }

  /** Arms, moves or (Infinity) disarms an entry. */
  schedule(entry: T, due: number): void {
    entry.due = due;
    const { filing } = entry;
    const tick = Math.max(Math.ceil(due), this.#tick);
    const isNear = tick - this.#tick < NEAR_SLOTS;
    if (filing.isNear && (!isNear || filing.near > tick)) this.#leaveNear(filing);
    if (isNear) {
      if (!filing.isNear) this.#reachNear(entry, tick);
    } else if (due !== Infinity && (filing.far < 0 || filing.far > tick)) this.#fileFar(entry, tick);
  }

  /** A tick at or before the earliest at which `advance` has something to look at, or undefined. */
  next(): number | undefined {
    if (this.#nearFiled + this.#farFiled === 0) return undefined;
    if (this.#earliest < 0) this.#earliest = this.#findEarliest();
    return this.#earliest;
  }

  /** Calls `onDue` for each entry that is due by `now`; the entry is disarmed first. */
  advance(now: number, onDue: (entry: T) => void): void {
    const last = Math.floor(now);
    const first = this.#tick;
    if (last < first) return;
    const due: T[] = [];
    const refile: T[] = [];
    if (this.#farFiled > 0) this.#takeFar(first, last, now, due, refile);
    if (this.#nearFiled > 0) this.#takeNear(first, last, now, due, refile);
    this.#tick = last + 1;
    this.#earliest = this.#nearFiled + this.#farFiled === 0 ? Infinity : -1;
    for (const entry of refile) this.schedule(entry, entry.due);
    for (const entry of due) {
      entry.due = Infinity;
      onDue(entry);
    }
  }

  /** The near place serves a deadline at `tick`: the one it has, if that comes no later, or one of its own. */
  #reachNear(entry: T, tick: number): void {
    const { filing } = entry;
    if (filing.near < 0 || filing.near > tick) {
      filing.near = tick;
      this.#near[tick % NEAR_SLOTS]!.push(entry);
      this.#nearFiled++;
    }
    filing.isNear = true;
    this.#awaited[filing.near % NEAR_SLOTS]!++;
    if (filing.near < this.#earliest) this.#earliest = filing.near;
  }

  #leaveNear(filing: TimerFiling): void {
    filing.isNear = false;
    this.#awaited[filing.near % NEAR_SLOTS]!--;
  }

  #fileFar(entry: T, tick: number): void {
    const turn = Math.floor(this.#tick / NEAR_SLOTS);
    const slot = Math.min(Math.floor(tick / NEAR_SLOTS), turn + FAR_SLOTS - 1);
    entry.filing.far = slot * NEAR_SLOTS;
    this.#far[slot % FAR_SLOTS]!.push(entry);
    this.#farFiled++;
    if (entry.filing.far < this.#earliest) this.#earliest = entry.filing.far;
  }

  // A process that slept longer than a ring's round still visits each of its slots once.

  #takeNear(first: number, last: number, now: number, due: T[], refile: T[]): void {
    const end = Math.min(last, first + NEAR_SLOTS - 1);
    for (let tick = first; tick <= end; tick++) {
      const slot = this.#near[tick % NEAR_SLOTS]!;
      if (slot.length === 0) continue;
      this.#near[tick % NEAR_SLOTS] = [];
      this.#nearFiled -= slot.length;
      for (const entry of slot) {
        const { filing } = entry;
        if (filing.near !== tick) continue; // abandoned for an earlier one
        const isAwaited = filing.isNear;
        if (isAwaited) this.#leaveNear(filing);
        filing.near = -1;
        if (isAwaited) (entry.due <= now ? due : refile).push(entry);
      }
    }
  }

  #takeFar(first: number, last: number, now: number, due: T[], refile: T[]): void {
    const begin = Math.ceil(first / NEAR_SLOTS);
    const end = Math.min(Math.floor(last / NEAR_SLOTS), begin + FAR_SLOTS - 1);
    for (let turn = begin; turn <= end; turn++) {
      const slot = this.#far[turn % FAR_SLOTS]!;
      if (slot.length === 0) continue;
      this.#far[turn % FAR_SLOTS] = [];
      this.#farFiled -= slot.length;
      for (const entry of slot) {
        const { filing } = entry;
        if (filing.far !== turn * NEAR_SLOTS) continue;
        filing.far = -1;
        if (!filing.isNear && entry.due !== Infinity) (entry.due <= now ? due : refile).push(entry);
      }
    }
  }

  /** Places that were abandoned are not awaited, but where nothing else is they must not hold their entries for ever. */
  #findEarliest(): number {
    const earliest = Math.min(this.#findAwaited(), this.#findFar());
    return earliest === Infinity ? this.#tick + NEAR_SLOTS - 1 : earliest;
  }

  #findAwaited(): number {
    const end = this.#tick + NEAR_SLOTS;
    for (let tick = this.#tick; tick < end; tick++) if (this.#awaited[tick % NEAR_SLOTS]! > 0) return tick;
    return Infinity;
  }

  #findFar(): number {
    if (this.#farFiled === 0) return Infinity;
    let turn = Math.ceil(this.#tick / NEAR_SLOTS);
    while (this.#far[turn % FAR_SLOTS]!.length === 0) turn++;
    return turn * NEAR_SLOTS;
  }
}
