// Which sessions are live, by the link they came over. Owns the bookkeeping; what happens to a session
// is the role's machine's.

import type { SessionHandle } from '../../wire/control-messages.js';
import type { LinkId } from './link-types.js';

/** A session as its driver knows it: two relays may hand out the same handle. */
export interface LinkedSession {
  readonly link: LinkId;
  readonly session: SessionHandle;
}

/** The live sessions of all links. The same slot and tag on another link is another session, and so is the same slot with another tag. */
export class LinkedSessions {
  readonly #byLink = new Map<LinkId, Map<string, SessionHandle>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOn(link: LinkId): number {
    return this.#byLink.get(link)?.size ?? 0;
  }

  has(link: LinkId, session: SessionHandle): boolean {
    return this.#byLink.get(link)?.has(sessionKey(session)) ?? false;
  }

  add(link: LinkId, session: SessionHandle): void {
    const sessions = this.#byLink.get(link) ?? new Map<string, SessionHandle>();
    this.#byLink.set(link, sessions.set(sessionKey(session), session));
    this.#size += 1;
  }

  delete(link: LinkId, session: SessionHandle): boolean {
    const sessions = this.#byLink.get(link);
    if (!sessions?.delete(sessionKey(session))) return false;
    this.#size -= 1;
    if (sessions.size === 0) this.#byLink.delete(link);
    return true;
  }

  /** Takes out those of one link. */
  takeOn(link: LinkId): SessionHandle[] {
    const sessions = [...(this.#byLink.get(link)?.values() ?? [])];
    this.#byLink.delete(link);
    this.#size -= sessions.length;
    return sessions;
  }

  /** Takes out all. */
  takeAll(): LinkedSession[] {
    return [...this.#byLink.keys()].flatMap((link) => this.takeOn(link).map((session) => ({ link, session })));
  }
}

const sessionKey = ({ slot, tag }: SessionHandle): string => `${slot}:${tag}`;
