// A peer that speaks the protocol as it likes: any certificate or none, any token, raw bytes on the control
// stream, raw datagrams, handles of others. Owns the outer connection and records what the relay answers;
// what is sent, and whether the answer is right, is the test's.

import { createHash, X509Certificate } from 'node:crypto';
import type { Config, Connection } from '@matrixai/quic/native/types.js';
import {
  ControlDecoder,
  createQuicConfig,
  encodeControl,
  encodeHeader,
  Endpoint,
  openPlainSocket,
  OUTER_PROFILE,
  SOFTWARE,
  type ConnectionEnd,
  type ControlMessage,
  type ControlMessageOf,
  type ControlType,
  type DatagramSocket,
  type EndpointConnection,
  type QuicConfig,
  type QuicConfigInit,
  type QuicStream,
  type Role,
  type SessionHandle,
} from '@ztna/protocol';
import { createAnonymousQuicConfig, tapClientConnections } from './native-quic.js';

/** A certificate with its key, and the CA its holder trusts. */
export interface Credentials {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface HostileClientInit {
  readonly credentials: Credentials;
  /** Port of the relay on 127.0.0.1. */
  readonly port: number;
  /** The address this client sends from. Default 127.0.0.1; any of 127/8 is another source. */
  readonly from?: string;
  /** The SNI, and what the relay's certificate is checked against. */
  readonly serverName: string;
  /** Shows no certificate; `credentials` then only serve to check the relay's. */
  readonly anonymous?: boolean;
  readonly alpn?: string;
  /** What it announces of itself in QUIC, such as windows. */
  readonly profile?: Partial<QuicConfigInit>;
  /** Never reads its control stream. */
  readonly deaf?: boolean;
  /** Stands between the connection and its socket. */
  readonly wrapSocket?: (socket: DatagramSocket) => DatagramSocket;
  /** The binding's own connection, before its first packet; and its configuration before that. */
  readonly tap?: (connection: Connection) => void;
  readonly prepare?: (config: Config) => void;
  /** A relayed datagram, in a buffer that is only good during the call. */
  readonly onDatagram?: (payload: Buffer, length: number) => void;
}

/** Long enough for a loaded machine; an answer that takes this long has not come. */
const ANSWER_TIMEOUT_MS = 20_000;

export class HostileClient {
  /** Every message of the relay so far. */
  readonly messages: ControlMessage[] = [];
  datagramsReceived = 0;
  readonly ended: Promise<ConnectionEnd>;
  readonly #established: Promise<void>;
  readonly #endpoint: Endpoint;
  readonly #connection: EndpointConnection;
  readonly #decoder = new ControlDecoder();
  readonly #waiters = new Set<() => void>();
  #stream: QuicStream | undefined;
  #backlog = Buffer.alloc(0);
  #finDue = false;
  #end: ConnectionEnd | undefined;
  readonly #deaf: boolean;

  private constructor(endpoint: Endpoint, config: QuicConfig, { port, serverName, onDatagram, deaf = false, tap, prepare }: HostileClientInit) {
    this.#endpoint = endpoint;
    this.#deaf = deaf;
    let establish: () => void = () => undefined;
    let end: (end: ConnectionEnd) => void = () => undefined;
    this.#established = new Promise((resolve) => (establish = resolve));
    this.ended = new Promise((resolve) => (end = resolve));
    // Not for everybody: a test may have a tap of its own in place.
    const untap = tap || prepare ? tapClientConnections(tap ?? (() => undefined), prepare) : () => undefined;
    this.#connection = endpoint.connect({ host: '127.0.0.1', port }, serverName, config, {
      onEstablished: (connection) => {
        this.#openControl(connection);
        establish();
      },
      onDatagram: (_connection, payload, length) => {
        this.datagramsReceived++;
        onDatagram?.(payload, length);
        this.#wake();
      },
      onEnd: (_connection, how) => {
        this.#end = how;
        end(how);
        this.#wake();
      },
    });
    untap();
  }

  /** Starts the handshake; see `established` and `ended` for how it went. */
  static async dial(init: HostileClientInit): Promise<HostileClient> {
    const { caPem, certificatePem, keyPem } = init.credentials;
    const pems = { caPem: Buffer.from(caPem), certificatePem: Buffer.from(certificatePem), keyPem: Buffer.from(keyPem) };
    const profile: QuicConfigInit = { ...OUTER_PROFILE, alpn: init.alpn ?? OUTER_PROFILE.alpn, ...init.profile, ...pems };
    const config = init.anonymous ? createAnonymousQuicConfig(profile) : createQuicConfig(profile);
    const socket = await openPlainSocket({ host: init.from ?? '127.0.0.1', port: 0 });
    return new HostileClient(new Endpoint({ socket: init.wrapSocket?.(socket) ?? socket }), config, init);
  }

  /** The client's side of the handshake is done. With TLS 1.3 that is before the relay has judged the certificate. */
  async established(): Promise<this> {
    const end = await Promise.race([this.#established, this.ended]);
    if (end) throw new Error(`the handshake failed: ${end.code}: ${end.reason}`);
    return this;
  }

  get connection(): EndpointConnection {
    return this.#connection;
  }

  /** Of the control stream, held back by the relay's flow control. */
  get unsentBytes(): number {
    return this.#backlog.length;
  }

  get localPort(): number {
    return this.#endpoint.local.port;
  }

  get hasEnded(): boolean {
    return this.#end !== undefined;
  }

  send(message: ControlMessage): this {
    return this.sendRaw(encodeControl(message));
  }

  /** Bytes on the control stream, as they are. */
  sendRaw(bytes: Uint8Array): this {
    this.#backlog = Buffer.concat([this.#backlog, bytes]);
    this.#drain();
    return this;
  }

  /** FIN after everything sent so far. */
  finish(): this {
    this.#finDue = true;
    this.#drain();
    return this;
  }

  hello(role: Role): this {
    return this.send({ type: 'hello', versions: [1], software: SOFTWARE, role });
  }

  register(token: Uint8Array): this {
    return this.send({ type: 'register', token: Uint8Array.from(token) });
  }

  open(service: string, request = 1): this {
    return this.send({ type: 'open', request, service });
  }

  /** A datagram with a good header and any slot, tag and payload. */
  sendSessionDatagram({ slot, tag }: SessionHandle, payload: Uint8Array): void {
    this.sendDatagram(Buffer.concat([encodeHeader({ type: 0, slot, tag }), payload]));
  }

  /** Any bytes; returns once the binding has queued them. */
  sendDatagram(bytes: Uint8Array): number {
    return this.#connection.sendDatagram(bytes);
  }

  /** The next message of that type that no earlier call has taken. Fails when the connection ends first. */
  async take<T extends ControlType>(type: T): Promise<ControlMessageOf<T>> {
    await this.#until(() => this.messages.some((message) => message.type === type) || this.hasEnded, type);
    const index = this.messages.findIndex((message) => message.type === type);
    if (index < 0) throw new Error(`connection ended with ${this.#end?.code ?? 'nothing'} before ${type}`);
    return this.messages.splice(index, 1)[0] as ControlMessageOf<T>;
  }

  /** Resolves when the relay has handled everything sent before: it answers messages in order. */
  async roundTrip(timestamp = 1): Promise<void> {
    this.send({ type: 'ping', timestamp });
    await this.take('pong');
  }

  whenDatagrams(count: number): Promise<void> {
    return this.#until(() => this.datagramsReceived >= count, `${count} datagrams`);
  }

  async close(): Promise<void> {
    await this.#endpoint.close('no_error');
  }

  async #until(reached: () => boolean, what: string): Promise<void> {
    const deadline = Date.now() + ANSWER_TIMEOUT_MS;
    while (!reached()) {
      await new Promise<void>((resolve, reject) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#waiters.delete(wake);
          resolve();
        };
        const timer = setTimeout(() => reject(new Error(`no ${what}; got ${JSON.stringify(this.messages)}`)), Math.max(0, deadline - Date.now()));
        this.#waiters.add(wake);
      });
    }
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) waiter();
  }

  #openControl(connection: EndpointConnection): void {
    const stream = connection.openStream();
    if (!stream) throw new Error('the relay allows no stream');
    const chunk = Buffer.alloc(16 * 1024);
    stream.handler = {
      onWritable: () => this.#drain(),
      onReset: () => undefined,
      onReadable: () => {
        if (this.#deaf) return;
        for (let count; (count = stream.read(chunk)) > 0; ) {
          this.#decoder.push(chunk.subarray(0, count));
          for (let decoded; (decoded = this.#decoder.next()); ) if (decoded.ok) this.messages.push(decoded.message);
        }
        this.#wake();
      },
    };
    this.#stream = stream;
    this.#drain();
  }

  #drain(): void {
    if (!this.#stream) return;
    if (this.#backlog.length > 0) this.#backlog = this.#backlog.subarray(this.#stream.write(this.#backlog, false));
    if (this.#backlog.length === 0 && this.#finDue) this.#stream.write(this.#backlog, true);
  }
}

/** SHA-256 of the certificate's DER: what its tokens are bound to. */
export const certificateBinding = ({ certificatePem }: Credentials): Uint8Array =>
  new Uint8Array(createHash('sha256').update(new X509Certificate(certificatePem).raw).digest());
