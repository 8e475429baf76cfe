// The agent's requests for sessions that have no answer yet. Owns their ids, deadlines and whether
// each is at the relay; messages and commands are the agent machine's.
//
//   add ─► queued ─nextToSend─► sent ─answer─► gone
//            ▲   └─expire─► gone  │ └─expire─► abandoned ─answerAbandoned─► gone
//            └──────requeue───────┘            (answer still due; link loss forgets it)

/** Names one `openSession`; a u32. */
export type RequestId = number;

export interface OpenRequest {
  readonly request: RequestId;
  readonly service: string;
  /** On the clock of `now`. */
  readonly deadline: number;
}

export interface OpenRequestsInit {
  readonly maxPending: number;
  readonly maxInFlight: number;
  /** Milliseconds, the same for all: the oldest request is the first to expire. */
  readonly timeoutMs: number;
}

export class OpenRequests {
  readonly #init: OpenRequestsInit;
  /** In order of deadline. */
  readonly #pending = new Map<RequestId, OpenRequest>();
  readonly #queued = new Set<RequestId>();
  readonly #abandoned = new Set<RequestId>();
  #lastId = 0;

  constructor(init: OpenRequestsInit) {
    this.#init = init;
  }

  /** Queued and sent together. */
  get size(): number {
    return this.#pending.size;
  }

  get full(): boolean {
    return this.#pending.size >= this.#init.maxPending;
  }

  get nextDeadline(): number | undefined {
    return this.#oldest()?.deadline;
  }

  /** An id that no answer of this connection can be mistaken for. */
  nextId(): RequestId {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#pending.has(this.#lastId) || this.#abandoned.has(this.#lastId));
    return this.#lastId;
  }

  /** The caller has checked `full`. */
  add(request: RequestId, service: string, now: number): void {
    this.#pending.set(request, { request, service, deadline: now + this.#init.timeoutMs });
    this.#queued.add(request);
  }


  /** The oldest request that may go to the relay now; from here on it counts as sent. */
  nextToSend(): OpenRequest | undefined {
    if (this.#pending.size - this.#queued.size >= this.#init.maxInFlight) return undefined;
    for (const request of this.#queued) {
      this.#queued.delete(request);
      return this.#pending.get(request);
    }
    return undefined;
  }

  /** Takes out the request an answer is for; undefined unless it was sent on this connection. */
  answer(request: RequestId): OpenRequest | undefined {
    if (this.#queued.has(request)) return undefined;
    const open = this.#pending.get(request);
    this.#pending.delete(request);
    return open;
  }

  /** Whether an answer comes too late for a request that was sent. */
  answerAbandoned(request: RequestId): boolean {
    return this.#abandoned.delete(request);
  }

  /** Takes out the oldest request whose deadline has passed. */
  expire(now: number): OpenRequest | undefined {
    const oldest = this.#oldest();
    if (oldest === undefined || oldest.deadline > now) return undefined;
    this.#pending.delete(oldest.request);
    if (!this.#queued.delete(oldest.request)) this.#abandon(oldest.request);
    return oldest;
  }

  /** The connection is gone: nothing is sent any more, and no answer is due. */
  requeue(): void {
    this.#abandoned.clear();
    this.#queued.clear();
    for (const request of this.#pending.keys()) this.#queued.add(request);
  }

  /** Takes out everything, oldest first. */
  clear(): OpenRequest[] {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#queued.clear();
    this.#abandoned.clear();
    return all;
  }

  #oldest(): OpenRequest | undefined {
    return this.#pending.values().next().value;
  }

  /** A relay that never answers must not grow this set; the oldest makes room. */
  #abandon(request: RequestId): void {
    this.#abandoned.add(request);
    if (this.#abandoned.size <= this.#init.maxPending) return;
    for (const oldest of this.#abandoned) {
      this.#abandoned.delete(oldest);
      return;
    }
  }
}
