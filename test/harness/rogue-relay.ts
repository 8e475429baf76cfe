// A relay that has been taken over: a good certificate, and no rules. It takes any token, lets any connector
// serve any service, and writes down every datagram. Built of the relay's own machine with the checks taken
// out, so that it lies in perfect protocol. For tests of what holds when the relay does not.

import { performance } from 'node:perf_hooks';
import { randomBytes } from 'node:crypto';
import {
  ConnectionRateTable,
  ControlChannel,
  createQuicConfig,
  DEFAULT_RELAY_LIMITS,
  Endpoint,
  openPlainSocket,
  OUTER_PROFILE,
  parsePolicy,
  readCertificateIdentity,
  RelayMachine,
  type ConnectionHandler,
  type EndpointConnection,
  type RelayEvent,
} from '@ztna/protocol';
import type { Credentials } from './hostile-client.js';

export class RogueRelay {
  readonly events: RelayEvent[] = [];
  /** What it relayed, in order. */
  readonly datagrams: Buffer[] = [];
  readonly #machine: RelayMachine;
  readonly #endpoint: Endpoint;
  readonly #clients = new Map<number, { connection: EndpointConnection; control?: ControlChannel }>();
  #timer: NodeJS.Timeout | undefined;

  private constructor(machine: RelayMachine, makeEndpoint: (accept: () => ConnectionHandler) => Endpoint) {
    this.#machine = machine;
    this.#endpoint = makeEndpoint(() => this.#client());
  }

  /** @param service what every connector gets to serve, and every agent in `agents` to open */
  static async start(name: string, { caPem, certificatePem, keyPem }: Credentials, service: string, agents: readonly string[]): Promise<RogueRelay> {
    const parsed = parsePolicy({ rules: [{ allow: agents, services: [service] }] });
    const [own] = [readCertificateIdentity(pemToDer(certificatePem))];
    if (!parsed.ok || !own.ok) throw new Error(`cannot start ${name}`);
    const machine = new RelayMachine({
      identity: own.identity,
      software: 'rogue/1.0',
      policy: parsed.policy,
      verifyToken: (_token, { identity }) => ({ ok: true, keyId: 'any', services: identity.role === 'connector' ? [service] : [] }),
      randomU32: () => randomBytes(4).readUInt32BE(),
      wallClock: Date.now,
      limits: DEFAULT_RELAY_LIMITS,
      rates: new ConnectionRateTable(),
      isStrained: () => false,
    });
    const config = createQuicConfig({ ...OUTER_PROFILE, caPem: Buffer.from(caPem), certificatePem: Buffer.from(certificatePem), keyPem: Buffer.from(keyPem) });
    const socket = await openPlainSocket({ host: '127.0.0.1', port: 0 });
    return new RogueRelay(machine, (accept) => new Endpoint({ socket, server: { config, retry: true, maxConnections: 16, accept } }));
  }

  get port(): number {
    return this.#endpoint.local.port;
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#endpoint.close('draining');
    clearTimeout(this.#timer);
  }

  #client(): ConnectionHandler {
    const id = this.#clients.size;
    return {
      onEstablished: (connection) => {
        this.#clients.set(id, { connection });
        const read = connection.readPeerIdentity();
        if (!read.ok) return connection.close(read.code);
        const { identity, services: certificateServices, fingerprint, serial } = read;
        this.#machine.handleConnected(id, { identity, certificateServices, fingerprint, serial, observed: connection.peer.address }, performance.now());
      },
      onStream: (connection, stream) => {
        const control = new ControlChannel(stream, {
          onMessage: (message) => this.#machine.handleControl(id, message, performance.now()),
          onFault: (fault) => this.#machine.handleControlFault(id, fault, performance.now()),
          onControlEnd: (code) => connection.close(code),
        });
        this.#clients.set(id, { connection, control });
      },
      onDatagram: (_connection, payload, length) => {
        const datagram = payload.subarray(0, length);
        this.datagrams.push(Buffer.from(datagram));
        const target = this.#machine.handleDatagram(id, datagram, length, performance.now());
        this.#clients.get(target)?.connection.sendDatagram(datagram);
      },
      onDelivered: () => this.#pump(),
      onEnd: () => {
        this.#machine.handleDisconnected(id, performance.now());
        this.#pump();
      },
    };
  }

  #pump(): void {
    for (let command; (command = this.#machine.nextCommand()); ) {
      if (command.kind === 'send') this.#clients.get(command.conn)?.control?.send(command.message);
      else if (command.kind === 'close') this.#clients.get(command.conn)?.connection.close(command.code, command.reason);
      else if (command.kind === 'event') this.events.push(command.event);
    }
    clearTimeout(this.#timer);
    const at = this.#machine.pollTimeout();
    if (at === undefined) return;
    this.#timer = setTimeout(() => {
      this.#machine.handleTimeout(performance.now());
      this.#pump();
    }, Math.max(0, at - performance.now()));
  }
}

const pemToDer = (pem: string): Uint8Array => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
