// One client's connection at the relay, from the handshake to its end: tells the machine what
// happens on it and hands relayed datagrams to the switch. Steps 4 and 5 of a datagram's way.

import { performance } from 'node:perf_hooks';
import {
  ControlChannel,
  DATAGRAM_REPLY,
  failureMeaning,
  formatAddress,
  formatIdentity,
  type ConnectionEnd,
  type ConnectionHandler,
  type EndpointConnection,
  type FailureCode,
  type Logger,
  type QuicStream,
  type SocketAddress,
} from '@ztna/protocol';
import type { ShownCertificate } from './client-review.js';
import type { RelayServer } from './relay-server.js';

/** The control stream is the first a client opens (RFC 9000 §2.1), and the only one it may. */
const CONTROL_STREAM_ID = 0;
/** Ends of a control stream that this side decided on. */
const OWN_CONTROL_ENDS: ReadonlySet<FailureCode> = new Set<FailureCode>(['slow_reader', 'control_message_malformed']);

/** One client's connection: from the handshake to its end. */
export class RelayClient implements ConnectionHandler {
  connection: EndpointConnection | undefined;
  control: ControlChannel | undefined;
  certificate: ShownCertificate | undefined;
  readonly #server: RelayServer;
  readonly #peer: SocketAddress;
  readonly #log: Logger;
  /** Known to the machine under this id; undefined before the handshake is complete. */
  #id: number | undefined;
  #reported = false;

  constructor(server: RelayServer, peer: SocketAddress, log: Logger) {
    this.#server = server;
    this.#peer = peer;
    this.#log = log;
  }

  onStart(): void {
    this.#server.outcomes.beginHandshake();
  }

  onEstablished(connection: EndpointConnection): void {
    const read = connection.readPeerIdentity();
    if (!read.ok) {
      this.#refused({ code: read.code, reason: read.reason, by: 'local' });
      return connection.close(read.code, read.reason);
    }
    const { identity, services, fingerprint, serial, notAfter } = read;
    const { issuers } = this.#server.authorities;
    const peer = { identity, certificateServices: services, fingerprint, serial, observed: connection.peer.address, addressKey: connection.peer.addressKey };
    const certificate = { issuer: issuers.issuerOf(read.certificate), notAfter };
    const fault = this.#server.faultOf({ peer, registration: undefined }, certificate);
    if (fault) {
      this.#refused({ code: fault, reason: failureMeaning(fault), by: 'local' }, formatIdentity(identity));
      return connection.close(fault);
    }
    this.connection = connection;
    this.certificate = certificate;
    this.#id = this.#server.admit(this, connection);
    this.#server.outcomes.endHandshake();
    this.#log.debug('client_address', { conn: this.#id, address: formatAddress(connection.peer.address) });
    if (identity.role === 'agent' || identity.role === 'connector') this.#server.remember(connection, identity.role);
    this.#server.machine.handleConnected(this.#id, peer, performance.now());
  }

  onStream(connection: EndpointConnection, stream: QuicStream): void {
    if (stream.id !== CONTROL_STREAM_ID || this.control || this.#id === undefined) return;
    const id = this.#id;
    const { machine } = this.#server;
    this.control = new ControlChannel(stream, {
      admit: () => this.#admit(id),
      onMessage: (message) => machine.handleControl(id, message, performance.now()),
      onFault: (fault) => machine.handleControlFault(id, fault, performance.now()),
      onControlEnd: (code) => this.#handleControlEnd(connection, id, code),
    });
  }

  /** The time for which it was to send nothing is over. */
  resumeControl(): void {
    this.control?.resume();
    this.#server.pump();
  }

  /** Steps 4 and 5. */
  onDatagram(connection: EndpointConnection, payload: Buffer, length: number): void {
    if (this.#id === undefined) return;
    const target = this.#server.machine.handleDatagram(this.#id, payload, length, connection.turnAt);
    if (target >= 0) this.#server.forwarder.forward(this.#id, target, payload.subarray(0, length), connection.turnAt);
    else if (target === DATAGRAM_REPLY) connection.sendDatagram(payload.subarray(0, length));
  }

  onFlushed(connection: EndpointConnection): void {
    if (this.#id !== undefined) this.#server.forwarder.handleFlushed(this.#id, connection.turnAt);
  }

  onDelivered(connection: EndpointConnection): void {
    if (connection.quic.account.isExcessive(this.#id !== undefined, this.#server.limits.idleBytes)) this.#endExcess(connection);
    this.#server.pump();
  }

  onMigrated(connection: EndpointConnection): void {
    if (this.#id === undefined) return;
    this.#server.noteMoved(connection);
    this.#server.machine.handleAddressChanged(this.#id, connection.peer.address, performance.now());
  }

  onEnd(connection: EndpointConnection, end: ConnectionEnd): void {
    this.connection = undefined;
    this.#server.forget(connection);
    this.control?.stop();
    this.#server.pauses.remove(this);
    if (this.#id === undefined) return this.#refused(end);
    this.#server.outcomes.endConnection(end);
    if (end.by === 'timeout') this.#server.clientLimits.idleTimeout += 1;
    const { code, reason } = end;
    this.#server.machine.handleDisconnected(this.#id, performance.now(), code === 'no_error' ? undefined : { code, reason });
    this.#server.release(this.#id);
    this.#id = undefined;
    this.#server.pump();
  }

  #admit(id: number): boolean {
    if (this.#server.machine.admitControl(id, performance.now())) return true;
    this.#server.pauses.add(this);
    return false;
  }

  /** QUIC holds of this client what no bound of its own covers; the end of the connection frees it. */
  #endExcess(connection: EndpointConnection): void {
    this.#server.clientLimits.unproductiveBytes += 1;
    const code = 'protocol_error';
    const reason = 'sends QUIC much that is neither a message nor a datagram nor an acknowledgement due';
    if (this.#id === undefined) connection.close(code, reason);
    else this.#server.machine.handleControlFault(this.#id, { code, reason, fatal: true }, performance.now());
  }

  /** The client ended its control stream, or does not read it, while its connection stands. */
  #handleControlEnd(connection: EndpointConnection, id: number, ended: FailureCode): void {
    if (connection.hasEnded) return;
    // A reset carries a number of the client's choosing: it must not put words into this log.
    const code = OWN_CONTROL_ENDS.has(ended) ? ended : 'protocol_error';
    const reason = code === ended && code !== 'protocol_error' ? failureMeaning(code) : 'the control stream was ended';
    this.#server.machine.handleControlFault(id, { code, reason, fatal: true }, performance.now());
    this.#server.pump();
  }

  /** The handshake failed, or the certificate has no identity of ours. Reported once. */
  #refused({ code, reason, by }: ConnectionEnd, identity?: string): void {
    if (this.#reported) return;
    this.#reported = true;
    this.#server.outcomes.endHandshake(code);
    const refusedBy = by === 'local' ? 'relay' : by === 'peer' ? 'client' : 'nobody';
    this.#log.warn('handshake_refused', { code, ...(identity ? { identity } : {}), refusedBy, reason });
    this.#log.debug('handshake_refused_address', { address: formatAddress(this.#peer) });
  }
}
