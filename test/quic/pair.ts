// Two endpoints, a client's and a server's, over plain sockets or a lossy network.

import type { Test } from 'tap';
import {
  Endpoint, openPlainSocket,
  type Admission, type ConnectionHandler, type DatagramSocket, type EndpointConnection, type EndpointInit, type QuicConfig, type Rate, type RetryKeys, type SocketAddress,
} from '@ztna/protocol';
import { LossyNetwork, type LossyNetworkInit, type LossySocket } from '@ztna/protocol/testing';
import { eventually } from './eventually.js';
import { innerClient, innerServer, RELAY_SERVER_NAME, SERVICE_SERVER_NAME } from './pki.js';
import { Recorder } from './recorder.js';

export interface Pair {
  readonly client: Endpoint;
  readonly server: Endpoint;
  /** The server's recorders, in the order their connections began. */
  readonly accepted: Recorder[];
  /** Handler errors of both endpoints. */
  readonly errors: unknown[];
  connect(config: QuicConfig, handler: ConnectionHandler, serverName?: string): EndpointConnection;
}

export interface PairInit {
  readonly clientSocket: DatagramSocket;
  readonly serverSocket: DatagramSocket;
  readonly serverConfig: QuicConfig;
  readonly retry?: boolean;
  readonly maxConnections?: number;
  readonly admission?: Admission;
  readonly validations?: Rate;
  readonly retryKeys?: RetryKeys;
  readonly accept?: (peer: SocketAddress) => Recorder | undefined;
}

export const createPair = (t: Test, init: PairInit): Pair => {
  const accepted: Recorder[] = [];
  const errors: unknown[] = [];
  const onHandlerError: EndpointInit['onHandlerError'] = (error) => errors.push(error);
  const { accept = () => new Recorder() } = init;
  const server = new Endpoint({
    socket: init.serverSocket,
    onHandlerError,
    server: {
      config: init.serverConfig,
      retry: init.retry ?? true,
      maxConnections: init.maxConnections ?? 1000,
      ...(init.validations ? { validations: init.validations } : {}),
      ...(init.retryKeys ? { retryKeys: init.retryKeys } : {}),
      ...(init.admission ? { admission: init.admission } : {}),
      accept: (peer) => {
        const recorder = accept(peer);
        if (recorder) accepted.push(recorder);
        return recorder;
      },
    },
  });
  const client = new Endpoint({ socket: init.clientSocket, onHandlerError });
  t.teardown(() => Promise.all([client.close('no_error'), server.close('no_error')]));
  return {
    client,
    server,
    accepted,
    errors,
    connect: (config, handler, serverName = RELAY_SERVER_NAME) => client.connect(server.local, serverName, config, handler),
  };
};

const LOOPBACK: SocketAddress = { host: '127.0.0.1', port: 0 };

/** Over UDP on loopback. */
export const createUdpPair = async (t: Test, init: Omit<PairInit, 'clientSocket' | 'serverSocket'>, at = LOOPBACK): Promise<Pair> =>
  createPair(t, { ...init, clientSocket: await openPlainSocket(at), serverSocket: await openPlainSocket(at) });

/**
 * Waits until the client has the server's HANDSHAKE_DONE. Before that a Handshake packet sent again may spoil
 * the datagram it is coalesced into, which QUIC mends for streams, but not for datagrams or a close.
 */
export const confirm = async (near: Recorder, far: Recorder): Promise<void> => {
  await Promise.all([near.established(), far.established()]);
  await eventually(() => {
    if (near.datagrams.length === 0) far.connection!.sendDatagram(Buffer.from('confirmed'));
    return near.datagrams.length > 0;
  });
  near.forgetDatagrams();
};

export interface InnerPair extends Pair {
  readonly network: LossyNetwork;
  readonly clientSocket: LossySocket;
  readonly near: Recorder;
  readonly far: Recorder;
  readonly connection: EndpointConnection;
}

/** An established inner connection over a lossy network: `near` is the agent's end of it, `far` the connector's. */
export const createInnerPair = async (
  t: Test,
  network: Omit<LossyNetworkInit, 'seed'> & { seed?: number } = {},
  options: { far?: Partial<ConnectionHandler>; near?: Partial<ConnectionHandler>; serverConfig?: QuicConfig; clientConfig?: QuicConfig } = {},
): Promise<InnerPair> => {
  const lossy = new LossyNetwork({ seed: 1, ...network });
  const clientSocket = lossy.openSocket();
  const far = new Recorder(options.far);
  const pair = createPair(t, {
    clientSocket,
    serverSocket: lossy.openSocket(),
    serverConfig: options.serverConfig ?? innerServer(),
    accept: () => far,
  });
  const near = new Recorder(options.near);
  const connection = pair.connect(options.clientConfig ?? innerClient(), near, SERVICE_SERVER_NAME);
  await Promise.all([near.established(), far.established()]);
  await confirm(near, far);
  return { ...pair, network: lossy, clientSocket, near, far, connection };
};
