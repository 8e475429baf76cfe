// What a link needs from the role behind it.

import type { ControlMessage } from '../../wire/control-messages.js';
import type { LinkFailure } from './link-failure.js';

/** The role behind a link: what to do with its connection while there is one. */
export interface LinkUser {
  /** `hello` and `register` are sent; more may be pipelined behind them. */
  handleEstablished(now: number): void;
  /** @param services those the relay accepted */
  handleReady(services: readonly string[], now: number): void;
  /** The relay in use is shutting down; only while ready. `link.drainDeadline` says until when it serves. */
  handleDrain(now: number): void;
  /** The connection is gone and everything on it. Not called by `stop`. */
  handleDown(failure: LinkFailure, now: number): void;
  /** A message the link has no use for, only while ready. False: this role must not get it. */
  handleMessage(message: ControlMessage, now: number): boolean;
  /** Whether nothing depends on the connection just now. Asked at any time, and often. */
  isIdle(): boolean;
  /** Whether somebody waits for the connection to come. Asked at any time while it is down. */
  isAwaited(): boolean;
}

/** A link on its own: registers, stays up, and takes no session messages. */
export const NO_USER: LinkUser = {
  handleEstablished: () => undefined,
  handleReady: () => undefined,
  handleDrain: () => undefined,
  handleDown: () => undefined,
  handleMessage: () => false,
  isIdle: () => false,
  isAwaited: () => false,
};
