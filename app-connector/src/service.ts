// A service as the connector offers it, and who may use it. Default deny: the allow list is required
// and names agents one by one, or all of the trust domain's by '*'.

import type { FlowKind, Identity } from '@ztna/protocol';
import type { BackendAddress } from './backend.js';

export interface ServedService {
  readonly name: string;
  readonly protocol: FlowKind;
  readonly backend: BackendAddress;
  /** Agent names, or '*'. */
  readonly allow: ReadonlySet<string> | '*';
}

export const isAllowed = (service: ServedService, agent: Identity): boolean =>
  service.allow === '*' || service.allow.has(agent.name);
