// What the agent's and the connector's machine share: inputs and health pass through to the link.
// Owns nothing but the wiring; each role adds its sessions.

import { parseIdentity, type Role } from '../../identity.js';
import type { FailureCode } from '../../failure-codes.js';
import type { ControlMessage, ObservedAddress, SessionHandle } from '../../wire/control-messages.js';
import type { Command } from './command-queue.js';
import { Link } from './link.js';
import type { LinkFailure } from './link-failure.js';
import type { Disconnection, LinkCommand, LinkFault, LinkInit, LinkState, RelayTarget } from './link-types.js';

/**
 * Contract, as for every machine: one input, then `nextCommand` until undefined, then a timer at
 * `pollTimeout`. `now` is monotonic milliseconds.
 */
export abstract class ClientMachine<Extra extends Command> {
  protected readonly link: Link<Extra>;

  constructor(init: LinkInit) {
    this.link = new Link<Extra>(init, {
      handleEstablished: (now) => this.onEstablished(now),
      handleReady: (services, now) => this.onReady(services, now),
      handleDown: (failure, now) => this.onDown(failure, now),
      handleMessage: (message, now) => this.onMessage(message, now),
    });
  }

  get state(): LinkState {
    return this.link.state;
  }

  /** The relay acknowledged the registration and the connection still stands. */
  get registered(): boolean {
    return this.link.state === 'ready';
  }

  /** The relay in use, or the next one to dial. */
  get relay(): RelayTarget {
    return this.link.relay;
  }

  /** Milliseconds; undefined until a ping of this connection was answered. */
  get rttMs(): number | undefined {
    return this.link.rttMs;
  }

  get observed(): ObservedAddress | undefined {
    return this.link.observed;
  }

  /** When the relay in use will close, on the clock of `now`; undefined while it doesn't drain. */
  get drainDeadline(): number | undefined {
    return this.link.drainDeadline;
  }

  /** Why the link last went down; kept when it comes back. */
  get lastFailure(): LinkFailure | undefined {
    return this.link.lastFailure;
  }

  abstract get sessionCount(): number;

  start(now: number): void {
    this.link.start(now);
  }

  /** Disconnects for good; every session and request ends with `no_error`. */
  stop(now: number): void {
    this.link.stop(now);
    this.onStopped();
  }

  handleEstablished(now: number): void {
    this.link.handleEstablished(now);
  }

  /** The connection ended, or could not be made, other than by a `disconnect` command. */
  handleDisconnected(how: Disconnection, now: number): void {
    this.link.handleDisconnected(how, now);
  }

  handleControl(message: ControlMessage, now: number): void {
    this.link.handleControl(message, now);
  }

  handleControlFault(fault: LinkFault, now: number): void {
    this.link.handleControlFault(fault, now);
  }

  pollTimeout(): number | undefined {
    return this.link.pollTimeout();
  }

  /** Does what is due; early calls do nothing. Afterwards `pollTimeout` is later than `now`. */
  handleTimeout(now: number): void {
    this.link.handleTimeout(now);
  }

  nextCommand(): LinkCommand | Extra | undefined {
    return this.link.nextCommand();
  }

  protected abstract onEstablished(now: number): void;
  protected abstract onReady(services: readonly string[], now: number): void;
  protected abstract onDown(failure: LinkFailure, now: number): void;
  protected abstract onMessage(message: ControlMessage, now: number): boolean;
  protected abstract onStopped(): void;

  /** What is wrong with an identity the relay vouches for, if anything. */
  protected identityFault(uri: string, role: Role): FailureCode | undefined {
    const identity = parseIdentity(uri);
    if (identity === undefined) return 'identity_invalid';
    if (identity.trustDomain !== this.link.relay.trustDomain) return 'trust_domain_mismatch';
    return identity.role === role ? undefined : 'role_not_allowed';
  }
}

/** Sessions are the same when slot and tag are: a slot used again with another tag is another session. */
export const sessionKey = ({ slot, tag }: SessionHandle): string => `${slot}:${tag}`;
