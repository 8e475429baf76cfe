// The health port's sockets: plain HTTP or HTTPS, small in everything, so that whatever is sent here costs the
// process little and traffic nothing. What is answered is health-handler.ts.
//
// Over the bound the oldest connection gives way to the newest: who holds connections open keeps nobody out.

import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer, type ServerOptions as HttpsServerOptions } from 'node:https';
import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { TlsMaterial } from '../config/tls-material.js';
import { sourceKey } from '../limits/source-key.js';
import { DEFAULT_SOURCE_LIMITS, SourceLimiter } from '../limits/source-limiter.js';
import { bindError } from '../udp/bind-error.js';
import type { SocketAddress } from '../udp/datagram-socket.js';

/** A kubelet, a few scrapers and their retries take ten. */
export const MAX_HEALTH_CONNECTIONS = 32;
/** New connections of one source: 20 a second, burst 40, as for handshakes; a TLS handshake costs as much. */
const SOURCE_LIMITS = { ...DEFAULT_SOURCE_LIMITS, sources: 1024, connections: MAX_HEALTH_CONNECTIONS };
/** Request line and headers; a long bearer token takes 600. */
export const MAX_HEALTH_HEADER_BYTES = 8192;
/** For the TLS handshake, the headers, and the whole request, each, in ms; a probe takes one. */
export const HEALTH_REQUEST_TIMEOUT_MS = 5_000;
const MAX_REQUESTS_PER_CONNECTION = 100;

export interface HealthServerInit {
  readonly listen: SocketAddress;
  /** Undefined: plain HTTP. */
  readonly tls: TlsMaterial | undefined;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

export class HealthServer {
  readonly local: SocketAddress;
  readonly #server: Server | HttpsServer;

  private constructor(server: Server | HttpsServer) {
    this.#server = server;
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('a TCP server has an address');
    this.local = { host: address.address, port: address.port };
  }

  /** @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed` */
  static open({ listen, tls, handle }: HealthServerInit): Promise<HealthServer> {
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => void handle(request, response);
    const server = tls ? createHttpsServer({ ...HTTP_OPTIONS, ...tlsOptions(tls) }, onRequest) : createHttpServer(HTTP_OPTIONS, onRequest);
    server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
    // Silence in either direction: also ends a connection whose peer does not read its answer.
    server.setTimeout(2 * HEALTH_REQUEST_TIMEOUT_MS);
    boundConnections(server);
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(listen, cause, 'TCP')));
      server.listen(listen.port, listen.host, () => {
        server.removeAllListeners('error');
        // Of accept(), such as too many open files: the next one may work.
        server.on('error', () => undefined);
        resolve(new HealthServer(server));
      });
    });
  }

  /** Certificate and CA for TLS handshakes from now on. */
  setTls(tls: TlsMaterial): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tlsOptions(tls));
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: MAX_HEALTH_HEADER_BYTES,
  headersTimeout: HEALTH_REQUEST_TIMEOUT_MS,
  requestTimeout: HEALTH_REQUEST_TIMEOUT_MS,
  keepAliveTimeout: HEALTH_REQUEST_TIMEOUT_MS,
  connectionsCheckingInterval: 1_000,
  insecureHTTPParser: false,
  noDelay: true,
};

const tlsOptions = ({ caPem, certificatePem, keyPem }: TlsMaterial): HttpsServerOptions => ({
  ca: caPem,
  cert: certificatePem,
  key: keyPem,
  minVersion: 'TLSv1.3',
  // Asked for, not insisted on: a kubelet has none. health-access.ts looks at what came of it.
  requestCert: true,
  rejectUnauthorized: false,
  handshakeTimeout: HEALTH_REQUEST_TIMEOUT_MS,
  // As on QUIC (ADR 0007): every connection shows its certificate anew.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

const boundConnections = (server: Server): void => {
  const sockets = new Set<Socket>();
  const sources = new SourceLimiter(SOURCE_LIMITS, performance.now());
  server.on('connection', (socket: Socket) => {
    const key = sourceKey(socket.remoteAddress ?? '');
    const entry = key === undefined ? 'source_connections' : sources.admit(key, performance.now());
    if (typeof entry === 'string') return void socket.destroy();
    sockets.add(socket);
    socket.once('close', () => {
      sockets.delete(socket);
      sources.release(entry);
    });
    if (sockets.size <= MAX_HEALTH_CONNECTIONS) return;
    const [oldest] = sockets;
    oldest!.destroy();
  });
};
