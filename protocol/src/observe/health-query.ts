// The `health` subcommand: asks the process that runs with the same configuration, as a container's health check
// does, without a shell or curl. Owns the one request; what is answered is health-handler.ts.

import { get as httpGet, type IncomingMessage, type RequestOptions } from 'node:http';
import { get as httpsGet, type RequestOptions as HttpsOptions } from 'node:https';
import type { X509Certificate } from 'node:crypto';
import { readBoundedFile } from '../config/bounded-file.js';
import { readCertificateIdentity } from '../config/certificate-identity.js';
import { parsePemCertificates } from '../config/certificate-chain.js';
import type { HostPort } from '../config/address-schema.js';
import { ZtnaError } from '../errors.js';
import { formatIdentity, type Identity } from '../identity.js';
import { formatAddress } from '../udp/datagram-socket.js';
import { readBearerToken } from './bearer-token.js';

/** A process that takes longer to say that it is alive is not; below the usual timeout of a container's check, 30 s. */
export const HEALTH_QUERY_TIMEOUT_MS = 3_000;
/** A connector with 64 backends down says so in 8 KiB. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** No certificate of ours is larger than this with its chain. */
const MAX_PEM_BYTES = 256 * 1024;

/** Of the configuration, what is needed to ask: no private key is read. */
export interface HealthQueryConfig {
  readonly health?: { readonly listen: HostPort; readonly token?: string | undefined; readonly tls?: boolean } | undefined;
  readonly tls: { readonly ca: string; readonly certificate: string };
}

export interface HealthAnswer {
  readonly healthy: boolean;
  /** One line for people. */
  readonly text: string;
}

/**
 * Asks `/readyz`, or with `live` `/healthz`. A process that does not answer is not healthy.
 *
 * @throws ZtnaError `config_invalid` without a `health` section or with port 0; as `readBearerToken`
 */
export const queryHealth = async ({ health, tls }: HealthQueryConfig, { live }: { live: boolean }): Promise<HealthAnswer> => {
  if (!health) throw new ZtnaError('config_invalid', 'the configuration has no `health` section, so the process answers no health check');
  if (health.listen.port === 0) throw new ZtnaError('config_invalid', 'health.listen has port 0: name the port, or nobody can find it');
  const { listen, token } = health;
  const host = reachableHost(listen.host);
  const options: RequestOptions = {
    host,
    port: listen.port,
    path: live ? '/healthz' : '/readyz',
    timeout: HEALTH_QUERY_TIMEOUT_MS,
    agent: false,
    headers: token === undefined || live ? {} : { authorization: `Bearer ${readBearerToken(token)}` },
  };
  // A process whose certificate has expired is not ready, but it is alive: restarting it would mend nothing.
  const secure = health.tls !== true ? undefined : live ? { rejectUnauthorized: false } : ownTrust(tls);
  try {
    const { status, body } = await ask(options, secure);
    return { healthy: status === 200, text: live ? describeLive(status) : describeReady(status, body) };
  } catch (error) {
    return { healthy: false, text: `no answer from ${formatAddress({ host, port: listen.port })}: ${error instanceof Error ? error.message : String(error)}` };
  }
};

const ask = (options: RequestOptions, secure: HttpsOptions | undefined): Promise<{ status: number; body: string }> =>
  new Promise((resolve, reject) => {
    const onAnswer = (answer: IncomingMessage): void => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > MAX_ANSWER_BYTES) request.destroy(new Error('the answer is too long'));
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on('error', reject);
    };
    const request = secure ? httpsGet({ ...options, ...secure }, onAnswer) : httpGet(options, onAnswer);
    // Silence, however slowly it trickles: the whole exchange has this long.
    const timer = setTimeout(() => request.destroy(new Error(`nothing within ${HEALTH_QUERY_TIMEOUT_MS / 1000} s`)), HEALTH_QUERY_TIMEOUT_MS);
    request.once('close', () => clearTimeout(timer));
    request.once('error', reject);
  });

/** Where to ask a process that listens on every address. */
const reachableHost = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host);

/** The server has to show this process's own identity: its certificate may have been renewed since this file was read. */
const ownTrust = ({ ca, certificate }: HealthQueryConfig['tls']): HttpsOptions => {
  const parsed = parsePemCertificates(readBoundedFile(certificate, { maxBytes: MAX_PEM_BYTES }));
  const leaf: X509Certificate | undefined = typeof parsed === 'string' ? undefined : parsed[0];
  const read = leaf && readCertificateIdentity(leaf.raw);
  if (!read?.ok) throw new ZtnaError('certificate_unusable', `${certificate} holds no certificate with an identity`);
  return { ca: readBoundedFile(ca, { maxBytes: MAX_PEM_BYTES }), checkServerIdentity: (_host, { raw }) => identityProblem(raw, read.identity) };
};

const identityProblem = (der: Buffer, expected: Identity): Error | undefined => {
  const read = readCertificateIdentity(der);
  if (read.ok && formatIdentity(read.identity) === formatIdentity(expected)) return undefined;
  return new Error(`the server is not ${formatIdentity(expected)}`);
};

const describeLive = (status: number): string => (status === 200 ? 'alive' : `unexpected status ${status}`);

const describeReady = (status: number, body: string): string => {
  if (status === 200) return 'ready';
  if (status !== 503) return `unexpected status ${status}`;
  try {
    const { notReady } = JSON.parse(body) as { notReady: readonly { check: string; about?: string; reason?: string }[] };
    const list = notReady.map(({ check, about, reason }) => `${check}${about === undefined ? '' : ` ${about}`}${reason === undefined ? '' : `: ${reason}`}`);
    return `not ready: ${list.join('; ')}`;
  } catch {
    return 'not ready';
  }
};
