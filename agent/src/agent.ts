// The agent as a whole: one link to a relay, one inner QUIC endpoint, one connection per service.
// Where flows come from (listeners, standard input) is the callers' business.

import { performance } from 'node:perf_hooks';
import {
  AgentMachine,
  createAnswerGate,
  createQuicConfig,
  encodePreamble,
  Endpoint,
  INNER_PROFILE,
  mintToken,
  openPlainSocket,
  OUTER_PROFILE,
  RelayDriver,
  SessionCarrier,
  type AgentCommand,
  type EndpointConnection,
  type FailureCode,
  type FlowKind,
  type Logger,
  type QuicStream,
  type RegistrationKey,
  type RelayTarget,
  type StreamGate,
  type TlsMaterial,
  type UdpFlowTable,
} from '@ztna/protocol';
import { randomBytes } from 'node:crypto';
import { ServiceConnection } from './service-connection.js';

export interface AgentInit {
  readonly tls: TlsMaterial;
  readonly registrationKey: RegistrationKey;
  readonly relays: readonly RelayTarget[];
  readonly log: Logger;
  /** Report the first refusal at once instead of trying on: for one-shot commands. */
  readonly failFast: boolean;
}
