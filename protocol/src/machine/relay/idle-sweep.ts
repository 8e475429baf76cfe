// Finds the sessions that nobody uses: an agent that opens them and goes its way must not keep them for
// as long as it stays connected. Owns when to look and at how many at once; ending them is the broker's.
//
// A datagram costs one store of a bit (session-table.ts). A pass over all sessions clears the bits, a
// chunk at a time; a session whose bits stayed clear for enough passes in a row is idle.

import type { Session } from './session.js';
import type { SessionTable } from './session-table.js';

/** Milliseconds from one pass to the next: a session outlives its bound by this much at most. */
export const SESSION_SWEEP_MS = 30_000;
/** Sessions looked at in one go: about 100 µs. */
export const SESSION_SWEEP_CHUNK = 4096;
/** Milliseconds between the chunks of a pass. */
const CHUNK_GAP_MS = 10;

export class IdleSweep {
  readonly #sessions: ReadonlySet<Session>;
  readonly #table: SessionTable<Session>;
  readonly #idleMs: () => number;
  #pass: Iterator<Session, undefined> | undefined;
  #passBegan = 0;
  #due: number | undefined;

  /** @param idleMs how long a session may lie unused, asked at every look; passes are counted, so that it is kept to a `SESSION_SWEEP_MS` */
  constructor(sessions: ReadonlySet<Session>, table: SessionTable<Session>, idleMs: () => number) {
    this.#sessions = sessions;
    this.#table = table;
    this.#idleMs = idleMs;
  }

  /** When `takeIdle` has something to look at, in the caller's milliseconds; undefined without sessions. */
  get deadline(): number | undefined {
    return this.#sessions.size === 0 ? undefined : this.#due;
  }

  /** There is a session: the first pass is an interval away. */
  handleCreated(now: number): void {
    if (this.#sessions.size > 1 && this.#due !== undefined) return;
    this.#pass = undefined;
    this.#due = now + SESSION_SWEEP_MS;
  }

  /** The next chunk of a pass that is due: the sessions to end. */
  takeIdle(now: number): Session[] {
    if (this.deadline === undefined || now < this.deadline) return [];
    if (!this.#pass) {
      this.#pass = this.#sessions.values();
      this.#passBegan = now;
    }
    const idle: Session[] = [];
    const idlePasses = Math.max(1, Math.ceil(this.#idleMs() / SESSION_SWEEP_MS));
    for (let n = 0; n < SESSION_SWEEP_CHUNK; n += 1) {
      const next = this.#pass.next();
      if (next.done) {
        this.#pass = undefined;
        this.#due = Math.max(this.#passBegan + SESSION_SWEEP_MS, now + CHUNK_GAP_MS);
        return idle;
      }
      if (this.#isIdle(next.value, idlePasses)) idle.push(next.value);
    }
    this.#due = now + CHUNK_GAP_MS;
    return idle;
  }

  /** Pending sessions have a deadline of their own. */
  #isIdle(session: Session, idlePasses: number): boolean {
    if (!session.established) return false;
    const used = this.#table.takeUsed(session.agentSlot);
    if (this.#table.takeUsed(session.connectorSlot) || used) session.quietPasses = 0;
    else session.quietPasses += 1;
    return session.quietPasses >= idlePasses;
  }
}
