// What a process says on its health port to whoever may ask: for the search for secrets when a lab ends. Owns how it is
// asked, with the token and over the TLS of the process's own configuration.

import { readFileSync } from 'node:fs';
import { request as requestHttp, type RequestOptions } from 'node:http';
import { request as requestHttps } from 'node:https';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

const PATHS = ['/metrics', '/readyz', '/healthz'];
/** A process that is stopped, or drains, may say nothing; the test is over and does not wait long. */
const PROBE_TIMEOUT_MS = 2_000;

export interface HealthPort {
  /** host:port */
  readonly address: string;
  readonly tls: boolean;
}

/**
 * Status, headers and body of each answer. Empty for a path that was not answered: the process may be gone.
 *
 * @param args the process's, which name its configuration
 */
export const probeHealth = async ({ address, tls }: HealthPort, args: readonly string[]): Promise<string[]> => {
  const token = tokenOf(args);
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const { hostname: host, port } = new URL(`http://${address}`);
  return Promise.all(PATHS.map((path) => ask(tls, { host: host.replace(/^\[|\]$/g, ''), port, path, headers, agent: false, timeout: PROBE_TIMEOUT_MS }).catch(() => '')));
};

const ask = (tls: boolean, options: RequestOptions): Promise<string> =>
  new Promise((resolve, reject) => {
    // Whose certificate it shows is other tests' business.
    const request = tls ? requestHttps({ ...options, rejectUnauthorized: false }) : requestHttp(options);
    request.on('timeout', () => request.destroy(new Error('no answer')));
    request.on('error', reject);
    request.on('response', (answer) => {
      let text = `${String(answer.statusCode)} ${JSON.stringify(answer.headers)}\n`;
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (text += chunk));
      answer.on('end', () => resolve(text));
      answer.on('error', reject);
    });
    request.end();
  });

const tokenOf = (args: readonly string[]): string | undefined => {
  const config = args[args.indexOf('-c') + 1];
  if (!args.includes('-c') || config === undefined) return undefined;
  try {
    const { health } = parse(readFileSync(config, 'utf8')) as { health?: { token?: string } };
    return health?.token === undefined ? undefined : readFileSync(resolve(dirname(config), health.token), 'utf8').trim();
  } catch {
    return undefined;
  }
};
