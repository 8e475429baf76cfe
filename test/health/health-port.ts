// A health port of its own for a test, with scripted readiness and metrics, and raw sockets to send it anything.

import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import type { Test } from 'tap';
import { createAuthority, issueCertificate, type Authority } from '@ztna/certs';
import {
  BearerToken, createLogger, HealthService, loadTlsMaterial, single, type HealthSettings, type Identity, type ReadinessFault, type TlsMaterial,
} from '@ztna/protocol';

export const TOKEN = 'dGhpcyBpcyBhIHRva2Vu';

export interface HealthPort {
  readonly service: HealthService;
  readonly port: number;
  readonly authority: Authority;
  readonly tls: TlsMaterial;
  /** What `/readyz` finds; change it at will. */
  readonly faults: ReadinessFault[];
  /** Everything it logged. */
  readonly log: readonly string[];
  readonly renderings: () => number;
}

export interface HealthPortOptions extends Partial<HealthSettings> {
  readonly isRevoked?: (identity: Identity, serial: string) => boolean;
  readonly authority?: Authority;
  /** What reading the one metric does; default: 7. */
  readonly read?: () => number;
}

export const startHealthPort = async (t: Test, { isRevoked, authority = createAuthority({ trustDomain: 'example.test' }), read = () => 7, ...settings }: HealthPortOptions = {}): Promise<HealthPort> => {
  const tls = relayTls(t, authority);
  const faults: ReadinessFault[] = [];
  const log: string[] = [];
  let renderings = 0;
  const service = await HealthService.start({
    program: 'intermediate-server',
    settings: { listen: { host: '127.0.0.1', port: 0 }, metrics: true, tls: false, clients: new Set(), token: undefined, ...settings },
    tls,
    families: [single('gauge', 'ztna_test', 'A test', () => (renderings++, read()))],
    readiness: () => faults,
    ...(isRevoked ? { isRevoked } : {}),
    log: createLogger({ name: 'test', level: 'debug', destination: { write: (line) => log.push(line) } }),
  });
  t.teardown(() => service.stop());
  return { service, port: service.local.port, authority, tls, faults, log, renderings: () => renderings };
};

export const withToken = (): Pick<HealthSettings, 'token'> => ({ token: new BearerToken(TOKEN) });

/** A relay's certificate, loaded as a relay loads it. */
export const relayTls = (t: Test, authority: Authority, validity: { notBefore?: Date; notAfter?: Date } = {}): TlsMaterial => {
  const { certificatePem, keyPem } = issueCertificate(authority, { role: 'relay', name: 'relay-1', ...validity });
  const directory = t.testdir({ 'ca.crt': authority.certificatePem, 'relay.crt': certificatePem });
  writeFileSync(`${directory}/relay.key`, keyPem, { mode: 0o600 });
  return loadTlsMaterial({ ca: `${directory}/ca.crt`, certificate: `${directory}/relay.crt`, key: `${directory}/relay.key` }, { role: 'relay' });
};

/** Ended with the test; its errors are no one's business. `from` another loopback address: another source. */
export const openRaw = async (t: Test, port: number, from = '127.0.0.1'): Promise<Socket> => {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  return socket;
};

/** Everything it says until it ends, however it ends. */
export const readAll = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => (text += chunk));
    if (socket.closed) resolve(text);
    socket.once('close', () => resolve(text));
  });

/** Sends bytes, ends its side, and reads the answer. */
export const exchange = async (t: Test, port: number, bytes: string | Uint8Array, from?: string): Promise<string> => {
  const socket = await openRaw(t, port, from);
  const answer = readAll(socket);
  socket.end(bytes);
  return answer;
};

export const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0);
