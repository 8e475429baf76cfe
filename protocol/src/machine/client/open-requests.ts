// The agent's requests for sessions that have no answer yet. Owns their ids, deadlines and whether
// each is at the relay; messages and commands are the agent machine's.
//
//   add ─► queued ─nextToSend─► sent ─answer─► gone
//            ▲   └─expire─► gone  │ ├─expire─► abandoned ─answerAbandoned─► gone
//            ├──────requeue───────┤ └─withdraw─► abandoned, and queued again for another link
//            └─release─ deferred ◄┘ defer      (answer still due; link loss forgets it)
//
// An answer counts only on the link the request went to.

import type { LinkId } from './link-types.js';

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
  /** Until when each waits; in order. */
  readonly #deferred = new Map<RequestId, number>();
  readonly #sentOn = new Map<RequestId, LinkId>();
  /** By request and link. */
  readonly #abandoned = new Map<string, LinkId>();
  #lastId = 0;

  constructor(init: OpenRequestsInit) {
    this.#init = init;
  }

  /** Without an answer, wherever they are. */
  get size(): number {
    return this.#pending.size;
  }

  get full(): boolean {
    return this.#pending.size >= this.#init.maxPending;
  }

  get nextDeadline(): number | undefined {
    const oldest = this.#oldest()?.deadline;
    const released = this.#deferred.values().next().value;
    return oldest === undefined || released === undefined ? oldest : Math.min(oldest, released);
  }

  /** Requests that went to a link and have no answer. */
  sentOn(link: LinkId): number {
    let count = 0;
    for (const on of this.#sentOn.values()) if (on === link) count += 1;
    return count;
  }

  /** An id that no answer can be mistaken for. */
  nextId(): RequestId {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#pending.has(this.#lastId));
    return this.#lastId;
  }

  /** The caller has checked `full`. */
  add(request: RequestId, service: string, now: number): void {
    this.#pending.set(request, { request, service, deadline: now + this.#init.timeoutMs });
    this.#queued.add(request);
  }

  /** The oldest request that may go to a relay now; from here on it counts as sent there. */
  nextToSend(link: LinkId): OpenRequest | undefined {
    if (this.#sentOn.size >= this.#init.maxInFlight) return undefined;
    for (const request of this.#queued) {
      this.#queued.delete(request);
      this.#sentOn.set(request, link);
      return this.#pending.get(request);
    }
    return undefined;
  }

  /** Takes out the request an answer is for; undefined unless it was sent on this link. */
  answer(request: RequestId, link: LinkId): OpenRequest | undefined {
    if (this.#sentOn.get(request) !== link) return undefined;
    const open = this.#pending.get(request);
    this.#sentOn.delete(request);
    this.#pending.delete(request);
    return open;
  }

  /** Whether an answer comes too late for a request that was sent. */
  answerAbandoned(request: RequestId, link: LinkId): boolean {
    return this.#abandoned.delete(abandonedKey(request, link));
  }

  /** Instead of `answer`: the request is sent again, at `until` or later. Its deadline stays. */
  defer(request: RequestId, link: LinkId, until: number): boolean {
    if (this.#sentOn.get(request) !== link) return false;
    this.#sentOn.delete(request);
    this.#deferred.set(request, until);
    return true;
  }

  /** Queues the deferred requests that are due. */
  release(now: number): void {
    for (const [request, until] of this.#deferred) {
      if (until > now) return;
      this.#deferred.delete(request);
      this.#queued.add(request);
    }
  }

  /** Takes out the oldest request whose deadline has passed. */
  expire(now: number): OpenRequest | undefined {
    const oldest = this.#oldest();
    if (oldest === undefined || oldest.deadline > now) return undefined;
    const { request } = oldest;
    this.#pending.delete(request);
    this.#queued.delete(request);
    this.#deferred.delete(request);
    const link = this.#sentOn.get(request);
    if (link !== undefined) this.#abandon(request, link);
    return oldest;
  }

  /** The link's connection is gone: what was sent there is queued again, and no answer is due. */
  requeue(link: LinkId): void {
    for (const [key, on] of this.#abandoned) if (on === link) this.#abandoned.delete(key);
    this.#takeBack(link);
  }

  /** The link is being left: what was sent there is queued for another, and late answers are known as such. */
  withdraw(link: LinkId): void {
    for (const request of this.#takeBack(link)) this.#abandon(request, link);
  }

  /** Takes out everything, oldest first. */
  clear(): OpenRequest[] {
    const all = [...this.#pending.values()];
    this.#pending.clear();
    this.#queued.clear();
    this.#deferred.clear();
    this.#sentOn.clear();
    this.#abandoned.clear();
    return all;
  }

  #oldest(): OpenRequest | undefined {
    return this.#pending.values().next().value;
  }

  /** Those sent on a link, oldest first, go before what was queued meanwhile. */
  #takeBack(link: LinkId): RequestId[] {
    const back = [...this.#pending.keys()].filter((request) => this.#sentOn.get(request) === link);
    const queued = [...this.#queued];
    this.#queued.clear();
    for (const request of back) this.#sentOn.delete(request);
    for (const request of [...back, ...queued]) this.#queued.add(request);
    return back;
  }

  /** A relay that never answers must not grow this map; the oldest makes room. */
  #abandon(request: RequestId, link: LinkId): void {
    this.#sentOn.delete(request);
    this.#abandoned.set(abandonedKey(request, link), link);
    if (this.#abandoned.size <= this.#init.maxPending) return;
    for (const oldest of this.#abandoned.keys()) {
      this.#abandoned.delete(oldest);
      return;
    }
  }
}

const abandonedKey = (request: RequestId, link: LinkId): string => `${link}:${request}`;
