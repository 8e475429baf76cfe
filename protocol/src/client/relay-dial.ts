// One dial of a relay: tries the addresses of its name until one of them completes a handshake as that
// relay. The next address starts when the one before has failed, or has not answered for a while
// (RFC 8305 §5); the first to get through wins, the others are given up. One UDP socket per address.

import { failureMeaning, type FailureCode } from '../failure-codes.js';
import { relayDnsName, type Identity } from '../identity.js';
import { describeSilence, type Disconnection } from '../machine/client/link-types.js';
import type { ConnectionEnd } from '../quic/connection-end.js';
import { Endpoint } from '../quic/endpoint.js';
import type { ConnectionHandler, EndpointConnection } from '../quic/endpoint-connection.js';
import type { QuicConfig } from '../quic/port.js';
import { formatAddress, type DatagramSocket, type SocketAddress } from '../udp/datagram-socket.js';
import type { WorkerPlace } from '../wire/control-messages.js';
import { anyAddressFor, resolveTargets, type RelayAddress } from './relay-address.js';

/** RFC 8305 §5 recommends it; most round trips are shorter. */
export const NEXT_ADDRESS_MS = 250;

export interface RelayDialInit {
  readonly relay: RelayAddress;
  /** Which of the relay's workers to reach. Default: whichever it be. */
  readonly worker?: WorkerPlace | undefined;
  readonly trustDomain: string;
  readonly config: QuicConfig;
  readonly openSocket: (address: SocketAddress) => Promise<DatagramSocket>;
  /** Default: the system's resolver. */
  readonly resolve?: (relay: RelayAddress) => Promise<readonly SocketAddress[]>;
  /** A handler threw: a fault of ours. Default: a process warning. */
  readonly onHandlerError?: (error: unknown) => void;
  /** Something came from an address of the relay, though no handshake is done. */
  onAnswered(): void;
  /** The relay answered and is who it should be. Called at most once; the other handlers only after it. */
  onEstablished(connection: EndpointConnection): void;
  onDatagram(connection: EndpointConnection, payload: Buffer, length: number): void;
  onDelivered(connection: EndpointConnection): void;
  onFlushed(connection: EndpointConnection): void;
  /** A connection has ended, the one that was handed over or another. */
  onGone(connection: EndpointConnection): void;
  /** No address got through, or the connection is over. Called at most once, and not after `end`. */
  onFailed(how: Disconnection): void;
}

interface Candidate {
  readonly peer: SocketAddress;
  endpoint?: Endpoint;
  connection?: EndpointConnection;
  over: boolean;
}

export class RelayDial {
  readonly #init: RelayDialInit;
  readonly #candidates = new Set<Candidate>();
  readonly #closing = new Set<Promise<void>>();
  #left: SocketAddress[] = [];
  #winner: Candidate | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What to report when none gets through: a relay that refused says more than one that is silent. */
  #worst: Disconnection | undefined;
  #over = false;

  constructor(init: RelayDialInit) {
    this.#init = init;
  }

  /** The connection that won. */
  get connection(): EndpointConnection | undefined {
    return this.#winner?.connection;
  }

  /** Resolves once every socket it opened is closed or its connection stands. */
  async start(): Promise<void> {
    const { relay, resolve = resolveTargets } = this.#init;
    const addresses = await resolve(relay);
    if (this.#over) return;
    if (addresses.length === 0) return this.#fail({ code: 'relay_unreachable', reason: `the name ${relay.host} does not resolve` });
    this.#left = [...addresses];
    await this.#tryNext();
  }

  /** Ends it, with everything it opened. */
  async end(code: FailureCode, reason?: string): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#winner?.connection?.close(code, reason);
    for (const candidate of [...this.#candidates]) this.#retire(candidate, code);
    await Promise.all(this.#closing);
  }

  async #tryNext(): Promise<void> {
    clearTimeout(this.#timer);
    const peer = this.#left.shift();
    if (this.#over || this.#winner || !peer) return;
    const candidate: Candidate = { peer, over: false };
    this.#candidates.add(candidate);
    if (this.#left.length > 0) this.#timer = setTimeout(() => void this.#tryNext(), NEXT_ADDRESS_MS);
    const { relay, worker, trustDomain, config, openSocket } = this.#init;
    try {
      const socket = await openSocket(anyAddressFor(peer));
      if (candidate.over) return await socket.close();
      candidate.endpoint = new Endpoint({ socket, isRoaming: true, onHandlerError: this.#init.onHandlerError });
      candidate.connection = candidate.endpoint.connect(peer, relayDnsName(relay.name, trustDomain), config, this.#handlerOf(candidate), worker);
    } catch (error) {
      this.#lose(candidate, { code: 'relay_unreachable', reason: (error as Error).message });
    }
  }

  #handlerOf(candidate: Candidate): ConnectionHandler {
    return {
      onEstablished: (connection) => {
        const refusal = this.#checkRelay(connection);
        if (refusal) {
          connection.close(refusal.code);
          return this.#lose(candidate, refusal);
        }
        if (this.#over || this.#winner) return this.#retire(candidate, 'no_error');
        this.#winner = candidate;
        clearTimeout(this.#timer);
        for (const other of [...this.#candidates]) if (other !== candidate) this.#retire(other, 'no_error');
        this.#init.onEstablished(connection);
      },
      onDatagram: (connection, payload, length) => {
        if (this.#winner === candidate) this.#init.onDatagram(connection, payload, length);
      },
      onDelivered: (connection) => {
        if (this.#winner === candidate) this.#init.onDelivered(connection);
        else if (!this.#winner && connection.hasHeard) this.#init.onAnswered();
      },
      onFlushed: (connection) => {
        if (this.#winner === candidate) this.#init.onFlushed(connection);
      },
      onEnd: (connection, end) => {
        this.#init.onGone(connection);
        this.#lose(candidate, describeEnd(end, this.#init.relay, candidate));
      },
    };
  }

  /** TLS has checked CA and name; the role is ours to check. */
  #checkRelay(connection: EndpointConnection): Disconnection | undefined {
    const { relay, trustDomain } = this.#init;
    const read = connection.readPeerIdentity();
    if (!read.ok) return { code: read.code, reason: `the relay's certificate: ${read.reason}` };
    const identity: Identity = read.identity;
    if (identity.role === 'relay' && identity.name === relay.name && identity.trustDomain === trustDomain) return undefined;
    return { code: 'role_not_allowed', reason: `the certificate is not that of relay ${relay.name}` };
  }

  /** One address is done with; the next has its turn, if it has not had it yet. */
  #lose(candidate: Candidate, how: Disconnection): void {
    if (candidate.over) return;
    const wasConnected = this.#winner === candidate;
    this.#retire(candidate, how.code);
    if (this.#over) return;
    if (!this.#worst || this.#worst.code === 'relay_unreachable') this.#worst = how;
    if (wasConnected) return this.#fail(how);
    if (this.#left.length > 0) void this.#tryNext();
    else if (this.#candidates.size === 0) this.#fail(this.#worst);
  }

  #fail(how: Disconnection): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.onFailed(how);
  }

  #retire(candidate: Candidate, code: FailureCode): void {
    if (candidate.over) return;
    candidate.over = true;
    this.#candidates.delete(candidate);
    const { endpoint } = candidate;
    if (!endpoint) return;
    // After the current turn, so that the endpoint is not closed under its own feet.
    const closing = new Promise<void>((resolve) => setImmediate(() => void endpoint.close(code).then(resolve)));
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}

/** Says which relay, where, and whose certificate: a code alone leaves a person looking on the wrong side. */
const describeEnd = ({ code, by, reason }: ConnectionEnd, { name }: RelayAddress, { peer, connection }: Candidate): Disconnection => {
  const relay = `relay ${name} at ${formatAddress(peer)}`;
  if (by === 'timeout' && code === 'handshake_timeout') return { code: 'relay_unreachable', reason: describeSilence(`${relay} (UDP)`, connection?.hasHeard ?? false) };
  if (code === 'connection_refused') return { code, reason: `${relay} takes no more connections: ${reason}` };
  if (!code.startsWith('certificate_') || !connection) return { code, reason };
  const whose = by === 'local' ? `the certificate of ${relay} was refused` : `${relay} refused this side's certificate`;
  return { code, reason: `${whose}: ${failureMeaning(code)}` };
};
