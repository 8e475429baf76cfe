// Links that are being made anew because what they were made with was replaced: which link stands in for which. Owns the
// pairs and which links are out of date; dialing and leaving them is link-set.ts's.

import type { WorkerPlace } from '../../wire/control-messages.js';
import type { Command } from './command-queue.js';
import type { Link } from './link.js';

export class Renewals<Extra extends Command> {
  /** Links whose connection was made with what was replaced since. */
  readonly #stale = new Set<Link<Extra>>();
  readonly #oldOf = new Map<Link<Extra>, Link<Extra>>();

  /** What links prove themselves by was replaced: from now on those that have a connection are out of date. */
  outdate(links: Iterable<Link<Extra>>): void {
    for (const link of links) if (link.state === 'dialing' || link.connected) this.#stale.add(link);
  }

  /** Whether a link should be made anew, and can be: it serves, its relay stays, and nobody stands in for it yet. */
  isDue(link: Link<Extra>): boolean {
    return this.#stale.has(link) && link.state === 'ready' && link.drainDeadline === undefined && this.replacementOf(link) === undefined;
  }

  /** The link's connection is gone; the next one is made with what is in force then. */
  forgetConnection(link: Link<Extra>): void {
    this.#stale.delete(link);
  }

  begin(old: Link<Extra>, replacement: Link<Extra>): void {
    this.#oldOf.set(replacement, old);
  }

  /** It has taken over, or is given up. */
  end(replacement: Link<Extra>): void {
    this.#oldOf.delete(replacement);
  }

  has(link: Link<Extra>): boolean {
    return this.#oldOf.has(link);
  }

  replacementOf(old: Link<Extra>): Link<Extra> | undefined {
    for (const [replacement, one] of this.#oldOf) if (one === old) return replacement;
    return undefined;
  }

  /** Whether a link is to take over from one at the same relay that still serves: it tries there and nowhere else. */
  isPending(replacement: Link<Extra>): boolean {
    const old = this.#oldOf.get(replacement);
    return old !== undefined && old.relayIndex === replacement.relayIndex && old.connected && old.drainDeadline === undefined;
  }

  /** Where its sessions are: at the worker that the old link has. */
  placeOf(replacement: Link<Extra>): WorkerPlace | undefined {
    return this.isPending(replacement) ? this.#oldOf.get(replacement)!.worker : undefined;
  }

  clear(): void {
    this.#stale.clear();
    this.#oldOf.clear();
  }
}
