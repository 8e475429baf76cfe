// The links of one client: the one in use, and while its relay drains the one that will take over and
// those being left. Owns which is which and when each comes and goes; a connection is link.ts's,
// sessions are the role's.
//
//   current ─drain─► (current, successor dials another relay) ─successor ready─► successor is current,
//   the old one departs: up until its last session is over or its relay's deadline has come
//
// When what the client proves itself by is replaced (`renew`), each link is made anew at its relay and worker, in the same way
// (renewals.ts); the successor of the current one is then at the same relay.
//
// With no other relay to go to, the current link stays until its relay closes it, and then dials anew.
// Each of these has a relay to itself. A connector has one more for each other worker of the relay in use, which come
// and go with the current link (worker-links.ts); if that is lost, one of them takes its place and it theirs.

import type { ControlMessage } from '../../wire/control-messages.js';
import { DEFAULT_LINK_LIMITS, resolveLimits } from './client-limits.js';
import { CommandQueue, type Command } from './command-queue.js';
import type { LinkFailure } from './link-failure.js';
import type { LinkCommand, LinkId, LinkInit } from './link-types.js';
import { Link } from './link.js';
import { Renewals } from './renewals.js';
import { WorkerLinks } from './worker-links.js';

/** The role behind the links; calls as in `LinkUser`, each with the link it is about. */
export interface LinkSetUser<Extra extends Command> {
  handleEstablished(link: Link<Extra>, now: number): void;
  handleReady(link: Link<Extra>, services: readonly string[], now: number): void;
  handleMessage(link: Link<Extra>, message: ControlMessage, now: number): boolean;
  /** The link's relay drains: whatever is of no use any more should end, so that it can go. */
  handleDraining(link: Link<Extra>, now: number): void;
  /** `to` has taken over from `from`, which departs. */
  handleMoved(from: Link<Extra>, to: Link<Extra>, now: number): void;
  handleDown(link: Link<Extra>, failure: LinkFailure, now: number): void;
  /** Whether sessions are left on a link that departs. */
  isBusy(link: Link<Extra>): boolean;
  isIdle(link: Link<Extra>): boolean;
  isAwaited(): boolean;
}

export class LinkSet<Extra extends Command> {
  readonly #init: LinkInit;
  readonly #user: LinkSetUser<Extra>;
  readonly #moveSpreadMs: number;
  readonly #commands = new CommandQueue<LinkCommand | Extra>();
  readonly #links = new Map<LinkId, Link<Extra>>();
  #current: Link<Extra>;
  #successor: Link<Extra> | undefined;
  readonly #workers = new WorkerLinks<Extra>();
  readonly #renewals = new Renewals<Extra>();
  #nextId = 0;

  /** @throws RangeError without a relay, or for a limit that is not above zero */
  constructor(init: LinkInit, user: LinkSetUser<Extra>) {
    this.#init = init;
    this.#user = user;
    const { moveSpreadMs } = resolveLimits(DEFAULT_LINK_LIMITS, init.limits);
    this.#moveSpreadMs = moveSpreadMs;
    this.#current = this.#create(0);
  }

  /** Where new sessions go. */
  get current(): Link<Extra> {
    return this.#current;
  }

  /** The current link and those to other workers, one that is about to take over, those that are being left. */
  get size(): number {
    return this.#links.size;
  }

  get(id: LinkId): Link<Extra> | undefined {
    return this.#links.get(id);
  }

  /** Those of the link's relay, itself left out. */
  besides(link: Link<Extra>): readonly Link<Extra>[] {
    return [...this.#links.values()].filter((other) => other !== link && other.relayIndex === link.relayIndex);
  }

  start(now: number): void {
    this.#current.start(now);
  }

  stop(now: number): void {
    for (const link of this.#links.values()) link.stop(now);
    this.#successor = undefined;
    for (const link of this.#workers.all) this.#workers.delete(link);
    this.#renewals.clear();
    for (const link of this.#links.values()) if (link !== this.#current) this.#links.delete(link.id);
  }

  /** Makes every link anew that has a connection, while it stands; see `ClientMachine.renew`. */
  renew(now: number): void {
    this.#renewals.outdate(this.#links.values());
    this.#seekRenewals(now);
  }

  /** The role's part of an input may have ended the last session of a link that departs. */
  settle(now: number): void {
    for (const link of this.#links.values()) {
      if (link !== this.#current && link !== this.#successor && !this.#workers.has(link) && !this.#user.isBusy(link)) link.leave(now);
    }
  }

  pollTimeout(): number | undefined {
    let earliest: number | undefined;
    for (const link of this.#links.values()) {
      const at = link.pollTimeout();
      if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at;
    }
    return earliest;
  }

  handleTimeout(now: number): void {
    for (const link of [...this.#links.values()]) link.handleTimeout(now);
  }

  nextCommand(): LinkCommand | Extra | undefined {
    return this.#commands.next();
  }

  emit(command: Extra): void {
    this.#commands.push(command);
  }

  #create(relay: number): Link<Extra> {
    const user = this.#user;
    const link: Link<Extra> = new Link<Extra>(
      this.#init,
      {
        handleEstablished: (now) => user.handleEstablished(link, now),
        handleReady: (services, now) => this.#handleReady(link, services, now),
        handleDrain: (now) => this.#handleDrain(link, now),
        handleMessage: (message, now) => user.handleMessage(link, message, now),
        handleDown: (failure, now) => this.#handleDown(link, failure, now),
        isIdle: () => user.isIdle(link),
        isAwaited: () => user.isAwaited(),
      },
      {
        id: this.#nextId++,
        commands: this.#commands,
        relay,
        nextRelay: (after) => (this.#workers.has(link) || this.#renewals.isPending(link) ? after : (this.#freeRelay(after, link) ?? after)),
        worker: () => this.#workers.placeOf(link) ?? (this.#init.role === 'connector' ? this.#renewals.placeOf(link) : undefined),
        takesOver: () => this.#init.role === 'connector' && this.#renewals.isPending(link),
      },
    );
    this.#links.set(link.id, link);
    return link;
  }

  /** The next relay of the list that no other link has. */
  #freeRelay(after: number, asker: Link<Extra> | undefined): number | undefined {
    const count = this.#init.relays.length;
    const taken = new Set<number>();
    for (const link of this.#links.values()) if (link !== asker) taken.add(link.relayIndex);
    for (let step = 1; step <= count; step += 1) {
      const relay = (after + step) % count;
      if (!taken.has(relay)) return relay;
    }
    return undefined;
  }

  #handleDrain(link: Link<Extra>, now: number): void {
    this.#user.handleDraining(link, now);
    if (link === this.#current) this.#seekSuccessor(now);
    else if (this.#workers.has(link)) this.#giveUpRenewal(link, now);
  }

  /** Dials the next relay while the current link, whose relay drains, is still of use. */
  #seekSuccessor(now: number): void {
    const { drainDeadline, relayIndex } = this.#current;
    if (this.#successor || drainDeadline === undefined || this.#current.state !== 'ready') return;
    const relay = this.#freeRelay(relayIndex, undefined);
    if (relay === undefined) return;
    this.#current.depart();
    this.#successor = this.#create(relay);
    const spreadMs = Math.min(this.#moveSpreadMs, Math.max(0, drainDeadline - now) / 4);
    this.#successor.start(now, Math.floor(this.#init.random() * spreadMs));
    for (const link of this.#workers.all) this.#release(link, now);
  }

  /** Dials begin anywhere in `moveSpreadMs`, as certificates of many clients may come from one place at one time. */
  #seekRenewals(now: number): void {
    for (const old of [this.#current, ...this.#workers.all]) {
      if (!this.#renewals.isDue(old) || (old === this.#current && this.#successor)) continue;
      const replacement = this.#create(old.relayIndex);
      this.#renewals.begin(old, replacement);
      old.depart();
      if (old === this.#current) this.#successor = replacement;
      replacement.start(now, Math.floor(this.#init.random() * this.#moveSpreadMs));
    }
  }

  /** The stand-in of a link to a worker has its place from now on. */
  #takePlace(old: Link<Extra>, replacement: Link<Extra>): void {
    const place = this.#workers.placeOf(old);
    this.#workers.delete(old);
    this.#renewals.end(replacement);
    if (place) this.#workers.add(replacement, place);
  }

  #giveUpRenewal(old: Link<Extra>, now: number): void {
    const replacement = this.#renewals.replacementOf(old);
    if (replacement) this.#discard(replacement, now);
  }

  #handleReady(link: Link<Extra>, services: readonly string[], now: number): void {
    const renewed = this.#renewals.isPending(link);
    const old = this.#workers.all.find((worker) => this.#renewals.replacementOf(worker) === link);
    if (old) this.#takePlace(old, link);
    if (this.#workers.isAstray(link)) return this.#discard(link, now);
    const before = this.#current;
    this.#renewals.end(link);
    if (link === this.#successor) {
      this.#successor = undefined;
      this.#current = link;
      link.report.event({ level: 'info', relay: link.relay.name, ...(renewed ? { name: 'renewed' } : { name: 'moved', from: before.relay.name }) });
    }
    this.#user.handleReady(link, services, now);
    if (link === this.#current) this.#matchWorkers(now);
    if (before !== this.#current) {
      this.#user.handleMoved(before, link, now);
    }
    this.settle(now);
    // The relay drained while it registered us.
    if (link.drainDeadline !== undefined) this.#handleDrain(link, now);
    // What it was made with was replaced meanwhile.
    this.#seekRenewals(now);
  }

  /** A link that is not in use is gone for good; the current one dials again, or gives way to its successor. */
  #handleDown(link: Link<Extra>, failure: LinkFailure, now: number): void {
    this.#renewals.forgetConnection(link);
    if (link === this.#successor || this.#renewals.has(link)) return;
    const replacement = this.#workers.has(link) ? this.#renewals.replacementOf(link) : undefined;
    if (replacement) {
      this.#takePlace(link, replacement);
      this.#links.delete(link.id);
      return this.#user.handleDown(link, failure, now);
    }
    if (this.#workers.has(link)) return this.#user.handleDown(link, failure, now);
    if (link !== this.#current || this.#successor) this.#links.delete(link.id);
    if (link === this.#current && this.#successor) {
      this.#current = this.#successor;
      this.#successor = undefined;
      this.#renewals.end(this.#current);
    } else if (link === this.#current) this.#replaceCurrent(now);
    this.#user.handleDown(link, failure, now);
    this.#seekSuccessor(now);
  }

  /** Has a link for each worker of the relay in use, and no others. */
  #matchWorkers(now: number): void {
    if (this.#init.role !== 'connector') return;
    for (const link of this.#workers.strayFrom(this.#current)) this.#release(link, now);
    for (const place of this.#workers.missingBeside(this.#current)) {
      const link = this.#create(this.#current.relayIndex);
      this.#workers.add(link, place);
      link.start(now);
    }
  }

  /** The current link is down. Where others stand they are still of use, and it is dialed as one of them. */
  #replaceCurrent(now: number): void {
    const down = this.#current;
    const standIn = this.#workers.ready();
    if (!standIn) {
      for (const link of this.#workers.all) this.#release(link, now);
      return;
    }
    this.#workers.delete(standIn);
    this.#current = standIn;
    this.#successor = this.#renewals.replacementOf(standIn);
    if (down.relayIndex === standIn.relayIndex && down.worker) this.#workers.add(down, down.worker);
    else this.#discard(down, now);
    this.#matchWorkers(now);
  }

  /** A link to a worker is of no more use: at once, or when its last session is over. */
  #release(link: Link<Extra>, now: number): void {
    this.#giveUpRenewal(link, now);
    if (link.state !== 'ready') return this.#discard(link, now);
    this.#workers.delete(link);
    link.depart();
    if (!this.#user.isBusy(link)) link.leave(now);
  }

  #discard(link: Link<Extra>, now: number): void {
    this.#workers.delete(link);
    this.#renewals.end(link);
    this.#giveUpRenewal(link, now);
    this.#links.delete(link.id);
    link.stop(now);
  }
}
