// The private web app of the quickstart: a small HTTP server on loopback, its own process, without a line about
// the overlay. Its page (private-app-page.ts) says who reached it and how, as far as a backend can know.
// Usage: node private-app.js private-app.yaml

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createLogger, formatAddress, isName, loadDocument, parseHostPort, runProgram, stopSignal, ZtnaError, type DocumentFault, type HostPort } from '@ztna/protocol';
import { renderHtml, renderText, type WayIn } from './private-app-page.js';

const NAME = 'private-app';
const LOOPBACK = new Set(['127.0.0.1', '::1']);

interface Settings {
  readonly listen: HostPort;
  readonly path: WayIn;
}

const parseSettings = (value: unknown): { ok: true; settings: Settings } | { ok: false; faults: DocumentFault[] } => {
  const { listen, path } = (value ?? {}) as Record<string, unknown>;
  const faults: DocumentFault[] = [];
  const address = typeof listen === 'string' ? parseHostPort(listen) : undefined;
  if (!address || !LOOPBACK.has(address.host)) faults.push({ path: 'listen', message: 'must be a loopback address and a port, such as 127.0.0.1:0' });
  const names = (path ?? {}) as Record<string, unknown>;
  const name = (key: string): string => {
    const text = names[key];
    if (typeof text === 'string' && isName(text)) return text;
    faults.push({ path: `path.${key}`, message: 'must be a name' });
    return '';
  };
  const wayIn = { agent: name('agent'), relay: name('relay'), connector: name('connector'), service: name('service') };
  return address && faults.length === 0 ? { ok: true, settings: { listen: address, path: wayIn } } : { ok: false, faults };
};

const main = async (): Promise<void> => {
  const file = process.argv[2];
  if (file === undefined) throw new ZtnaError('usage', 'give the path of private-app.yaml');
  const { settings } = loadDocument(file, parseSettings);
  const log = createLogger({ name: NAME });
  const started = new Date();
  let visits = 0;

  const server = createServer((request, response) => {
    request.resume();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end('This page can only be looked at.\n');
      return;
    }
    visits++;
    const { address, port } = server.address() as AddressInfo;
    const visit = {
      number: visits,
      time: new Date(),
      request: `${request.method} ${request.url ?? '/'} HTTP/${request.httpVersion}`,
      host: request.headers.host ?? 'none given',
      userAgent: request.headers['user-agent'] ?? 'none given',
      peer: formatAddress({ host: request.socket.remoteAddress ?? '', port: request.socket.remotePort ?? 0 }),
      listening: formatAddress({ host: address, port }),
      pid: process.pid,
      started,
      path: settings.path,
    };
    log.info('visited', { visit: visits, peer: visit.peer, request: visit.request });
    const html = request.headers.accept?.includes('text/html') === true;
    response.writeHead(200, {
      'content-type': `${html ? 'text/html' : 'text/plain'}; charset=utf-8`,
      // Nothing but the style in the page itself: what the visitor sent is shown, and must stay text.
      'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    });
    response.end(html ? renderHtml(visit) : renderText(visit));
  });

  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new ZtnaError('socket_failed', `cannot listen on ${formatAddress(settings.listen)}: ${cause.message}`, { cause })));
    server.listen(settings.listen.port, settings.listen.host, resolve);
  });
  const { address, port } = server.address() as AddressInfo;
  log.info('listening', { address: formatAddress({ host: address, port }) });
  await stopSignal();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  log.info('stopped');
};

await runProgram(NAME, main);
