// The private web app of the tests: bytes to download, uploads digested, everything else said plainly.

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { Test } from 'tap';
import { Digest, patternStream } from './pattern.js';

export interface WebBackend {
  /** host:port, for a connector's configuration. */
  readonly address: string;
  readonly port: number;
  readonly server: Server;
}

/**
 * GET /hello · GET /bytes/SEED/COUNT: a pattern · POST /digest: {bytes, sha256} of the body · POST /echo.
 * `greeting` is what /hello says.
 */
export const startWebBackend = async (t: Test, { host = '127.0.0.1', name, greeting = 'hello from behind' }: { host?: string; name?: string; greeting?: string } = {}): Promise<WebBackend> => {
  const server = createServer((request, response) => {
    // A client that vanishes ends the pipeline; its tests look at the sockets.
    answer(request, response, greeting).catch(() => response.destroy());
  });
  server.listen(0, host);
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { address: `${name ?? (host.includes(':') ? `[${host}]` : host)}:${port}`, port, server };
};

const answer = async (request: IncomingMessage, response: ServerResponse, greeting: string): Promise<void> => {
  const { method = '', url = '' } = request;
  const [, route = '', ...rest] = url.split('/');
  const of = `${method} ${route}`;
  if (of === 'GET hello') response.end(greeting);
  else if (of === 'GET bytes') {
    const [seed, bytes] = rest.map(Number) as [number, number];
    response.setHeader('content-length', bytes);
    await pipeline(patternStream(seed, bytes), response);
  } else if (of === 'POST digest') {
    const digest = new Digest();
    for await (const chunk of request) digest.update(chunk as Buffer);
    response.end(JSON.stringify({ bytes: digest.bytes, sha256: digest.value() }));
  } else if (of === 'POST echo') await pipeline(request, response);
  else response.writeHead(404).end();
};
