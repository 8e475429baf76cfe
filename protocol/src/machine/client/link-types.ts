// What goes into a link and what comes out of it, beside the control messages.

import type { FailureCode } from '../../failure-codes.js';
import type { Identity } from '../../identity.js';
import type { ControlMessage, WorkerPlace } from '../../wire/control-messages.js';
import type { ClientEvent } from './client-events.js';
import type { LinkLimits } from './client-limits.js';
import { CommandQueue, type Command } from './command-queue.js';

/** A relay this client may use. The list's order is the order of preference; addresses are the driver's. */
export interface RelayTarget {
  readonly name: string;
  readonly trustDomain: string;
  /** host:port as configured, for messages to people. */
  readonly address?: string;
}

/** A relay as its certificate names it. */
export const relayIdentity = ({ trustDomain, name }: RelayTarget): Identity => ({ trustDomain, role: 'relay', name });

/** The relay as people know it. */
export const describeRelay = ({ name, address }: RelayTarget): string =>
  address === undefined ? `relay ${name}` : `relay ${name} at ${address} (UDP)`;

/** The relay answered a first packet (Retry) and then no more: it is up, and turns handshakes away for the moment. */
export const describeSilence = (relay: string, answered: boolean): string =>
  answered ? `${relay} answered, but took no handshake on (it limits them per address and in all)` : `no answer from ${relay}`;

export interface LinkInit {
  readonly role: 'agent' | 'connector';
  /** Name and version, for the relay's log; at most 256 characters. */
  readonly software: string;
  /** At least one. */
  readonly relays: readonly RelayTarget[];
  /**
   * Mints a registration token for one relay; called once per connection. Must not throw.
   * @param nowEpochMs milliseconds since the Unix epoch, from `wallClock`
   */
  readonly mintToken: (relay: Identity, nowEpochMs: number) => Uint8Array;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Milliseconds since the Unix epoch. Apart from `now`, which is monotonic, because tokens need the time of day. */
  readonly wallClock: () => number;
  readonly limits?: Partial<LinkLimits>;
}

/**
 * `idle` until `start`; then `dialing` → `registering` → `ready`, from each of them to `waiting`
 * (backoff) and on to `dialing`; `stopped` for good.
 */
export type LinkState = 'idle' | 'dialing' | 'registering' | 'ready' | 'waiting' | 'stopped';

/**
 * Names a link of a machine: there are several while a client moves from a relay that drains to the
 * next one. Small integers, never used again; the first link is 0.
 */
export type LinkId = number;

export type LinkCommand =
  /**
   * Connect to `relays[relay]`, to the given one of its workers or whichever it be, then `handleEstablished` or
   * `handleDisconnected`. Never while this link has a connection.
   */
  | { readonly kind: 'dial'; readonly link: LinkId; readonly relay: number; readonly worker?: WorkerPlace }
  /** Write to the control stream of the link's connection. Only while connected. */
  | { readonly kind: 'send'; readonly link: LinkId; readonly message: ControlMessage }
  /**
   * Have QUIC ask the relay whether it is there, under another of its connection ids if so told; then `handleHeard` once
   * anything has come from it. Only while connected.
   */
  | { readonly kind: 'ping'; readonly link: LinkId; readonly renewsId: boolean }
  /**
   * Close the link's connection, or give up the dial. Final: the driver reports nothing more about
   * it, or its end would be taken for the end of the next one.
   */
  | { readonly kind: 'disconnect'; readonly link: LinkId; readonly code: FailureCode; readonly reason: string }
  | { readonly kind: 'event'; readonly event: ClientEvent };

/** Commands that mean one connection of a link and not the next. */
export const CONNECTION_COMMANDS: ReadonlySet<string> = new Set(['dial', 'send', 'ping', 'disconnect'] satisfies LinkCommand['kind'][]);

/** How a connection, or the attempt at one, ended: as close codes and TLS alerts translate. */
export interface Disconnection {
  readonly code: FailureCode;
  readonly reason: string;
}

/** Bytes on the control stream that are no message, or none of a known type; what a control decoder reports. */
export interface LinkFault {
  readonly code: FailureCode;
  readonly reason: string;
  /** The message's type as sent, if it could be read. */
  readonly about?: string;
}

/** Where a link stands among those of its machine. */
export interface LinkPlace<C extends Command> {
  readonly id: LinkId;
  /** Shared by all links of a machine, so that the order of commands holds. */
  readonly commands: CommandQueue<C>;
  /** Index of the first relay to dial. */
  readonly relay: number;
  /** Index of the relay to dial after one that failed. */
  readonly nextRelay: (after: number) => number;
  /** Whether the registration takes the sessions over from another link of this client at the same relay. Default: no. */
  readonly takesOver?: () => boolean;
  /** The worker of the relay to dial; undefined: whichever it be. */
  readonly worker: () => WorkerPlace | undefined;
}

/** A link by itself: every relay is free for it, round and round. */
export const onlyLink = <C extends Command>({ relays }: LinkInit): LinkPlace<C> => ({
  id: 0,
  commands: new CommandQueue<C>(),
  relay: 0,
  nextRelay: (after) => (after + 1) % relays.length,
  worker: () => undefined,
});
