// Which control messages a client may send after `hello`, by the role in its certificate. Owns the
// table only.

import type { Role } from '../../identity.js';
import type { ControlType } from '../../wire/control-messages.js';

/** A relay may send nothing: it has no business connecting to a relay as a client. */
const MAY_SEND: Readonly<Record<Role, ReadonlySet<ControlType>>> = {
  agent: new Set<ControlType>(['register', 'open', 'closeSession', 'ping']),
  connector: new Set<ControlType>(['register', 'accept', 'reject', 'closeSession', 'ping']),
  relay: new Set(),
};

export const maySend = (role: Role, type: ControlType): boolean => MAY_SEND[role].has(type);
