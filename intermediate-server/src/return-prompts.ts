// Tells the clients of an earlier run one after the other, so that they do not all come back at once. Owns the
// order and the pace; what is sent is the caller's.

import type { JournalEntry } from './journal-records.js';

/** Each leads to a handshake, 1.6 ms of one core (measured): two thirds of it. 12 000 clients are told in 30 s. */
export const PROMPTS_PER_SECOND = 400;
export const PROMPT_INTERVAL_MS = 20;

export interface ReturnPromptsInit {
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly send: (entry: JournalEntry) => void;
  /** Default: `PROMPTS_PER_SECOND`. */
  readonly perSecond?: number;
}

export class ReturnPrompts {
  /** Prompts that could not be sent at once. */
  readonly putOff: number;
  readonly #queue: JournalEntry[];
  readonly #send: (entry: JournalEntry) => void;
  #perSecond: number;
  /** Prompts that may be sent, a part of one included: the rate need not be whole in an interval. */
  #allowance = 0;
  #timer: NodeJS.Timeout | undefined;

  /** Starts at once. Each entry is sent once: connectors first, as agents can do nothing without them, each role in random order. */
  constructor(entries: readonly JournalEntry[], { random, send, perSecond = PROMPTS_PER_SECOND }: ReturnPromptsInit) {
    const ofRole = (role: JournalEntry['role']): JournalEntry[] => shuffled(entries.filter((entry) => entry.role === role), random);
    this.#queue = [...ofRole('connector'), ...ofRole('agent')].reverse();
    this.#send = send;
    this.#perSecond = perSecond;
    this.#turn();
    this.putOff = this.left;
  }

  /** Entries that have yet to be sent. */
  get left(): number {
    return this.#queue.length;
  }

  /** Another pace from the next interval on. */
  setRate(perSecond: number): void {
    this.#perSecond = perSecond;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#queue.length = 0;
  }

  readonly #turn = (): void => {
    this.#allowance = (this.#allowance % 1) + (this.#perSecond * PROMPT_INTERVAL_MS) / 1000;
    for (let n = Math.floor(this.#allowance); n > 0; n--) {
      const entry = this.#queue.pop();
      if (!entry) return;
      this.#send(entry);
    }
    if (this.#queue.length === 0) return;
    // A late timer makes it slower, never faster.
    this.#timer = setTimeout(this.#turn, PROMPT_INTERVAL_MS);
  };
}

/** Fisher and Yates. */
const shuffled = (entries: JournalEntry[], random: () => number): JournalEntry[] => {
  for (let last = entries.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [entries[last], entries[other]] = [entries[other]!, entries[last]!];
  }
  return entries;
};
