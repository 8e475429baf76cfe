// Which control messages a client may send after `hello`, by the role in its certificate. Owns the
// table only.

import type { Role } from '../../identity.js';
import type { ControlMessage, ControlMessageOf, ControlType } from '../../wire/control-messages.js';

type ClientRequestType = 'register' | 'open' | 'accept' | 'reject' | 'closeSession' | 'ping';

/** What the relay acts on once a client has said `hello`. */
export type ClientRequest = { [T in ClientRequestType]: ControlMessageOf<T> }[ClientRequestType];

const types = (...allowed: ClientRequestType[]): ReadonlySet<ControlType> => new Set(allowed);

/** A relay may send nothing: it has no business connecting to a relay as a client. */
const MAY_SEND: Readonly<Record<Role, ReadonlySet<ControlType>>> = {
  agent: types('register', 'open', 'closeSession', 'ping'),
  connector: types('register', 'accept', 'reject', 'closeSession', 'ping'),
  relay: types(),
};

export const maySend = (role: Role, message: ControlMessage): message is ClientRequest =>
  MAY_SEND[role].has(message.type);
