// What an endpoint is made of; the endpoint itself is endpoint.ts.

import type { DatagramSocket, SocketAddress } from '../udp/datagram-socket.js';
import type { Rate } from '../limits/token-bucket.js';
import type { Admission } from './admission.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import type { ResetKey } from './connection-families.js';
import type { ConnectionHandler } from './endpoint-connection.js';
import type { PacketDropReason } from './packet-drops.js';
import type { QuicConfig } from './port.js';
import type { RetryKeys } from './retry-keys.js';

export interface ServerInit {
  readonly config: QuicConfig;
  /** False only where the carrier has validated the peer already (relay sessions). */
  readonly retry: boolean;
  /** What Retry tokens are sealed with. Default: random keys of this endpoint's own. */
  readonly retryKeys?: RetryKeys;
  /**
   * Retry packets sent per second, and as many tokens opened: what strangers may cost at all. Default: no bound, as
   * where there is no Retry.
   */
  readonly validations?: Rate;
  /** Connections at a time, draining ones included. */
  readonly maxConnections: number;
  /** Asked before anything is made for a client. Default: everyone may begin a handshake. */
  readonly admission?: Admission;
  /** With it, peers of an earlier run of this process are told at once that their connections are gone. */
  readonly resetKey?: ResetKey;
  /** How often they are told so. Default: `DEFAULT_RESET_RATE`. */
  readonly resets?: Rate;
  /** Among several that share the socket's port, by connection id (worker-steering.ts); needs a `resetKey`. Default: alone. */
  readonly worker?: WorkerPlace | undefined;
  /** A peer with a validated address was turned away, and the drop counted. */
  readonly onTurnedAway?: (reason: PacketDropReason, peer: SocketAddress) => void;
  /** A peer with a validated address began a handshake; undefined turns it away. */
  accept(peer: SocketAddress): ConnectionHandler | undefined;
}

/** What may change while the endpoint runs. Retry tokens sealed with earlier keys stay good for as long as they would have been. */
export type ServerChanges = Partial<Pick<ServerInit, 'config' | 'resetKey' | 'retryKeys' | 'resets' | 'validations' | 'maxConnections'>>;

export interface EndpointInit {
  readonly socket: DatagramSocket;
  readonly server?: ServerInit;
  /**
   * Whether a client's address may change by itself, as it does behind a NAT: the server then follows it, without QUIC's knowing
   * (address-moves.ts), and a server's own stays. Default: false, addresses are paths that QUIC moves between (RFC 9000 §9).
   */
  readonly isRoaming?: boolean;
  /** A handler threw: a fault of ours. Its connection ends with `internal_error`; the others go on. Default: a process warning. */
  readonly onHandlerError?: ((error: unknown) => void) | undefined;
}
