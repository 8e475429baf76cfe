// What the agent's and the connector's machine share: inputs go to the link they are about, health is
// that of the link in use. Owns nothing but the wiring; each role adds its sessions.

import { parseIdentity, type Role } from '../../identity.js';
import type { FailureCode } from '../../failure-codes.js';
import type { ControlMessage, ObservedAddress } from '../../wire/control-messages.js';
import type { Command } from './command-queue.js';
import type { Link } from './link.js';
import type { LinkFailure } from './link-failure.js';
import { LinkSet } from './link-set.js';
import type { Disconnection, LinkCommand, LinkFault, LinkId, LinkInit, LinkState, RelayTarget } from './link-types.js';

/**
 * Contract, as for every machine: one input, then `nextCommand` until undefined, then a timer at
 * `pollTimeout`. `now` is monotonic milliseconds. Inputs about a link that is gone are ignored.
 */
export abstract class ClientMachine<Extra extends Command> {
  protected readonly links: LinkSet<Extra>;

  constructor(init: LinkInit) {
    this.links = new LinkSet<Extra>(init, {
      handleEstablished: (link, now) => this.onEstablished(link, now),
      handleReady: (link, services, now) => this.onReady(link, services, now),
      handleMessage: (link, message, now) => this.onMessage(link, message, now),
      handleDraining: (link, now) => this.onDraining(link, now),
      handleMoved: (from, to, now) => this.onMoved(from, to, now),
      handleDown: (link, failure, now) => this.onDown(link, failure, now),
      isBusy: (link) => this.isBusy(link),
      isIdle: (link) => this.isIdle(link),
      isAwaited: () => this.isAwaited(),
    });
  }

  get state(): LinkState {
    return this.links.current.state;
  }

  /** The relay acknowledged the registration and the connection still stands. */
  get registered(): boolean {
    return this.links.current.state === 'ready';
  }

  /** The link in use: where new sessions go. */
  get link(): LinkId {
    return this.links.current.id;
  }

  /** The link in use, one about to take over, and those being left. */
  get linkCount(): number {
    return this.links.size;
  }

  /** The relay in use, or the next one to dial. */
  get relay(): RelayTarget {
    return this.links.current.relay;
  }

  /** Milliseconds; undefined until a ping of this connection was answered. */
  get rttMs(): number | undefined {
    return this.links.current.rttMs;
  }

  get observed(): ObservedAddress | undefined {
    return this.links.current.report.observed;
  }

  /** When the relay in use will close, on the clock of `now`; undefined while it doesn't drain. */
  get drainDeadline(): number | undefined {
    return this.links.current.drainDeadline;
  }

  /** Why the link in use last went down; kept when it comes back. */
  get lastFailure(): LinkFailure | undefined {
    return this.links.current.lastFailure;
  }

  abstract get sessionCount(): number;

  start(now: number): void {
    this.links.start(now);
  }

  /** Disconnects for good; every session and request ends with `no_error`. */
  stop(now: number): void {
    this.links.stop(now);
    this.onStopped();
  }

  /**
   * What this client proves itself by (certificate, key, CA, registration key) was replaced: connections made from now on use
   * the new, and the one in use is made anew before the old one is left. Until it stands the old one serves on.
   */
  renew(now: number): void {
    this.links.renew(now);
  }

  /** Something came from the relay being dialed, though the handshake is not done. */
  handleAnswered(link: LinkId): void {
    this.links.get(link)?.handleAnswered();
  }

  /** After a `ping` of the link: something has come from its relay. `quicRttMs` as QUIC measures it. */
  handleHeard(link: LinkId, quicRttMs: number, now: number): void {
    this.links.get(link)?.handleHeard(quicRttMs, now);
  }

  handleEstablished(link: LinkId, now: number): void {
    this.links.get(link)?.handleEstablished(now);
  }

  /** The link's connection ended, or could not be made, other than by a `disconnect` command. */
  handleDisconnected(link: LinkId, how: Disconnection, now: number): void {
    this.links.get(link)?.handleDisconnected(how, now);
  }

  handleControl(link: LinkId, message: ControlMessage, now: number): void {
    this.links.get(link)?.handleControl(message, now);
    this.links.settle(now);
  }

  handleControlFault(link: LinkId, fault: LinkFault, now: number): void {
    this.links.get(link)?.handleControlFault(fault, now);
  }

  pollTimeout(): number | undefined {
    return this.links.pollTimeout();
  }

  /** Does what is due; early calls do nothing. Afterwards `pollTimeout` is later than `now`. */
  handleTimeout(now: number): void {
    this.links.handleTimeout(now);
  }

  nextCommand(): LinkCommand | Extra | undefined {
    return this.links.nextCommand();
  }

  protected abstract onEstablished(link: Link<Extra>, now: number): void;
  protected abstract onReady(link: Link<Extra>, services: readonly string[], now: number): void;
  protected abstract onDraining(link: Link<Extra>, now: number): void;
  protected abstract onMoved(from: Link<Extra>, to: Link<Extra>, now: number): void;
  protected abstract onDown(link: Link<Extra>, failure: LinkFailure, now: number): void;
  protected abstract onMessage(link: Link<Extra>, message: ControlMessage, now: number): boolean;
  protected abstract onStopped(): void;
  /** Whether sessions are left on a link. */
  protected abstract isBusy(link: Link<Extra>): boolean;
  /** Whether nothing depends on a link just now, so that it may be asked after less often. */
  protected abstract isIdle(link: Link<Extra>): boolean;
  /** Whether somebody waits for a link to come up. */
  protected abstract isAwaited(): boolean;

  /** What is wrong with an identity the relay vouches for, if anything. */
  protected identityFault(uri: string, role: Role): FailureCode | undefined {
    const identity = parseIdentity(uri);
    if (identity === undefined) return 'identity_invalid';
    if (identity.trustDomain !== this.links.current.relay.trustDomain) return 'trust_domain_mismatch';
    return identity.role === role ? undefined : 'role_not_allowed';
  }
}
