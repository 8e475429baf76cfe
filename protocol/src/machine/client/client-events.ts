// What a client's machine did, for logs and metrics: a closed set of names, each with exactly its
// fields. No event carries a secret: no token, no session tag. Texts from the relay are printable.

import type { FailureCode } from '../../failure-codes.js';
import type { ObservedAddress } from '../../wire/control-messages.js';

interface About<Level extends 'debug' | 'info' | 'warn', Name extends string> {
  readonly level: Level;
  readonly name: Name;
  /** Name of the relay it is about. */
  readonly relay: string;
}

/** Which of the relay's workers, where it has said that there are several. */
interface AtWorker {
  readonly worker?: number;
}

interface Coded {
  readonly code: FailureCode;
  /** One sentence for people. */
  readonly reason: string;
}

/** The three ways a link goes down other than `stop`; exactly one of them each time. */
export type LinkDownEvent =
  /** The handshake failed, or the connection ended or went silent. `info` when the relay left in good order. */
  | (About<'info' | 'warn', 'disconnected'> & AtWorker & Coded & Retry)
  /** The relay refused the registration. */
  | (About<'warn', 'refused'> & AtWorker & Coded & Retry)
  /** The relay broke the protocol and this side closed; `code` says how. */
  | (About<'warn', 'protocol_violation'> & AtWorker & Coded & Retry);

interface Retry {
  /** Milliseconds until the next dial. */
  readonly retryInMs: number;
}

export type ClientEvent =
  | LinkDownEvent
  | (About<'info', 'registered'> & AtWorker & { readonly services: readonly string[] })
  /** Services in this connector's configuration that the relay left out of its acknowledgement. */
  | (About<'warn', 'services_not_accepted'> & { readonly services: readonly string[] })
  | (About<'debug', 'observed_address'> & { readonly observed: ObservedAddress })
  /** The relay closes `deadlineMs` milliseconds from now. */
  | (About<'info', 'draining'> & { readonly deadlineMs: number })
  /** This relay has taken over from `from`, which drains; new sessions go here. */
  | (About<'info', 'moved'> & { readonly from: string })
  /** The link to the relay was made anew, with the certificate and key that are in force now; the old one is left. */
  | About<'info', 'renewed'>
  /** A relay that drained was left for good: its sessions are over, or its deadline or connection is. */
  | (About<'info' | 'warn', 'left'> & AtWorker & Coded)
  | (About<'debug', 'rtt_measured'> & { readonly rttMs: number })
  /** The relay answered a message with `error`; `about` is that message's type. */
  | (About<'warn', 'relay_error'> & Coded & { readonly about: string })
  /** A message that names something this side does not have. `debug` when both sides closing at once explains it. */
  | (About<'debug' | 'warn', 'message_ignored'> & Coded & { readonly about: string })
  /** A connector did not take a session. */
  | (About<'warn', 'session_rejected'> & Coded & { readonly agent: string; readonly service: string });

export type ClientEventName = ClientEvent['name'];

/** The event for a link that goes down; a relay that leaves in good order is no warning. */
export const linkDownEvent = (
  name: LinkDownEvent['name'],
  fields: Pick<LinkDownEvent, 'relay' | 'worker' | 'code' | 'reason' | 'retryInMs'>,
): LinkDownEvent => {
  if (name !== 'disconnected') return { level: 'warn', name, ...fields };
  return { level: endLevel(fields.code), name, ...fields };
};

export const leftEvent = (fields: Pick<ClientEvent & { name: 'left' }, 'relay' | 'worker' | 'code' | 'reason'>): ClientEvent => ({
  level: endLevel(fields.code),
  name: 'left',
  ...fields,
});

const endLevel = (code: FailureCode): 'info' | 'warn' => (code === 'no_error' || code === 'draining' ? 'info' : 'warn');
