// The two programs at the ends of the soak's TCP flows: a client that opens one to an agent's port, and a backend that
// a connector dials. A header of 12 bytes tells the backend which flow it holds, so that a flow that came to the wrong
// service shows.
//
//   0        4         8          12
//   | "SOAK" | flow id | service  | pattern …

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { FlowLedger, FlowRecord } from './flow-ledger.js';
import { FlowSide, type SideInit } from './flow-side.js';

const MAGIC = Buffer.from('SOAK');
const HEADER_BYTES = 12;

export const encodeHeader = (flow: number, service: number): Buffer => {
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32BE(flow, 4);
  header.writeUInt32BE(service, 8);
  return header;
};

/** What each end sends and expects. Two flows never carry the same bytes, nor do the two directions of one. */
export const clientSide = ({ id, plan }: FlowRecord, socket: Socket, onProgress: () => void): SideInit => ({
  socket,
  onProgress,
  send: { seed: id * 2, bytes: plan.up },
  expect: { seed: id * 2 + 1, bytes: plan.down },
  ...(plan.kind === 'clientAborts' && { abortAfter: plan.abortAfter }),
  ...(plan.kind === 'pausing' && { pauseMs: plan.pauseMs }),
  ...(plan.kind === 'stalling' && { stallMs: plan.pauseMs }),
});

const backendSide = ({ id, plan }: FlowRecord, socket: Socket, onProgress: () => void): SideInit => ({
  socket,
  onProgress,
  send: { seed: id * 2 + 1, bytes: plan.down },
  expect: { seed: id * 2, bytes: plan.up },
  answers: plan.kind === 'answer',
  ...(plan.kind === 'backendAborts' && { abortAfter: plan.abortAfter }),
});

/** Runs the client's end of a flow to an agent's port; resolves when that end is over. */
export const runClient = async (ledger: FlowLedger, flow: FlowRecord, service: number, port: number): Promise<void> => {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
  try {
    await once(socket, 'connect');
  } catch (error) {
    return ledger.fail(flow, `connect: ${(error as NodeJS.ErrnoException).code ?? ''}`);
  }
  socket.write(encodeHeader(flow.id, service));
  const side = new FlowSide(clientSide(flow, socket, () => touch(flow)));
  ledger.attach(flow, 'client', side);
  await side.over;
};

/** A backend for one service, on a port of its own. */
export class SoakBackend {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(ledger: FlowLedger, service: number, connector: string): Promise<SoakBackend> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const backend = new SoakBackend(server);
    server.on('connection', (socket) => backend.#accept(ledger, service, connector, socket));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return backend;
  }

  /** host:port, for a connector's configuration. */
  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Connections that are open. */
  get open(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(ledger: FlowLedger, service: number, connector: string, socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    let head = Buffer.alloc(0);
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      if (head.length < HEADER_BYTES) return;
      socket.pause();
      socket.off('data', onData).off('end', onEnd).off('error', onError);
      startBackend(ledger, service, socket, head);
    };
    // An aborted flow may bring no header at all; one that ends in good order without it was truncated.
    const onEnd = (): void => {
      if (!ledger.isDisturbed(connector)) ledger.countLost(`a flow to ${connector} ended in good order before its header`);
      socket.destroy();
    };
    const onError = (): void => void socket.destroy();
    socket.on('data', onData).on('end', onEnd).on('error', onError);
  }
}

const startBackend = (ledger: FlowLedger, service: number, socket: Socket, head: Buffer): void => {
  const [id, named] = [head.readUInt32BE(4), head.readUInt32BE(8)];
  const flow = ledger.find(id);
  const refuse = (what: string): void => {
    ledger.countLost(what);
    socket.on('error', () => undefined);
    socket.resetAndDestroy();
  };
  if (!head.subarray(0, MAGIC.length).equals(MAGIC)) return refuse(`service ${service} was sent something else than a header: ${head.toString('hex', 0, HEADER_BYTES)}`);
  if (named !== service) return refuse(`flow ${id} to service ${named} came to service ${service}`);
  if (flow?.backend) return refuse(`flow ${id} came twice`);
  // Its client gave up before the connector had dialed.
  if (!flow) return void socket.on('error', () => undefined).resetAndDestroy();
  ledger.attach(flow, 'backend', new FlowSide(backendSide(flow, socket, () => touch(flow)), head.subarray(HEADER_BYTES)));
};

const touch = (flow: FlowRecord): void => void (flow.lastProgress = performance.now());
