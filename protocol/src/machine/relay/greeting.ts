// The first message of a connection: what the relay asks of `hello` and what it answers. Owns that
// judgement; the certificate was judged by the handshake before.

import type { FailureCode } from '../../failure-codes.js';
import { formatIdentity } from '../../identity.js';
import {
  MAX_CONTROL_BYTES,
  PROTOCOL_VERSION,
  type ControlMessage,
  type ControlMessageOf,
} from '../../wire/control-messages.js';
import type { RelayPeer } from './relay-connection.js';
import type { RelayMachineInit } from './relay-init.js';

export type HelloAnswer =
  | { readonly ok: true; readonly helloAck: ControlMessageOf<'helloAck'> }
  | { readonly ok: false; readonly code: FailureCode; readonly reason: string };

/** @param client as its certificate says: `hello` must repeat the role */
export const answerHello = (
  message: ControlMessage,
  { identity: { role }, observed, addressKey }: Pick<RelayPeer, 'identity' | 'observed' | 'addressKey'>,
  relay: Pick<RelayMachineInit, 'identity' | 'software' | 'limits' | 'worker'>,
): HelloAnswer => {
  if (message.type !== 'hello') return refuse('unexpected_message', `${message.type} before hello`);
  if (message.role !== role) {
    return refuse('role_not_allowed', `hello as ${message.role} with a certificate for ${role}`);
  }
  if (!message.versions.includes(PROTOCOL_VERSION)) {
    return refuse('version_unsupported', `this relay speaks version ${PROTOCOL_VERSION}`);
  }
  const { identity, software, limits, worker } = relay;
  const helloAck: ControlMessageOf<'helloAck'> = {
    type: 'helloAck',
    version: PROTOCOL_VERSION,
    software,
    relay: formatIdentity(identity),
    observed,
    limits: {
      maxServices: limits.maxServicesPerRegistration,
      maxSessions: limits.maxSessionsPerAgent,
      maxControlBytes: MAX_CONTROL_BYTES,
      idleTimeoutMs: limits.idleTimeoutMs,
    },
    ...(worker && { worker }),
    ...(addressKey && { addressKey }),
  };
  return { ok: true, helloAck };
};

const refuse = (code: FailureCode, reason: string): HelloAnswer => ({ ok: false, code, reason });
