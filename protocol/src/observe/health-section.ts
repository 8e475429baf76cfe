// The `health` section of a configuration file: where to answer probes and scrapes, and who may scrape.
// Without the section nothing listens.
//
//   probes (/healthz, /readyz)  anybody who reaches the address: a kubelet has neither token nor certificate
//   scrapes (/metrics)          on loopback anybody; elsewhere with the token or a client certificate only

import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { listenAddress, type HostPort } from '../config/address-schema.js';
import { filePath } from '../config/file-path.js';
import { isName, ROLES } from '../identity.js';
import { BearerToken, readBearerToken } from './bearer-token.js';

const MAX_CLIENTS = 64;

const client = z.string().refine(
  (text) => {
    const [role, name, ...rest] = text.split('/');
    return rest.length === 0 && ROLES.some((known) => known === role) && name !== undefined && isName(name);
  },
  `must be <role>/<name> with role ${ROLES.join(', ')}, such as agent/prometheus`,
);

/** The keys for an agent, whose certificate is no server's. @param port the default one, on loopback */
export const clientHealthKeys = (port: number) => ({
  /** TCP. Default: loopback, so that only this machine reaches it. */
  listen: listenAddress.default({ host: '127.0.0.1', port }),
  /** False: probes only. */
  metrics: z.boolean().default(true),
  /** A file with a bearer token that scrapes have to show; owner only. */
  token: filePath.optional(),
});

interface Guarded {
  readonly listen: HostPort;
  readonly metrics: boolean;
  readonly token?: string | undefined;
  readonly tls?: boolean;
  readonly clients?: readonly string[];
}

/** For `superRefine`: nobody gets at /metrics over a network without showing something. */
export const checkHealthGuard = ({ listen, metrics, token, tls = false, clients = [] }: Guarded, context: z.RefinementCtx): void => {
  const fault = (key: string, message: string): void => context.addIssue({ code: 'custom', path: [key], message });
  if (clients.length > 0 && !tls) fault('clients', 'must come with `tls: true`: a client can only show a certificate over TLS');
  if (isLoopback(listen.host) || !metrics || token !== undefined || clients.length > 0) return;
  fault('listen', 'must be a loopback address, as whoever reaches it could read /metrics; else set `token`, or `clients` with `tls`, or `metrics: false` for probes alone');
};

/** The keys for a process whose certificate may serve TLS; check them with `checkHealthGuard`. @param port the default one, on loopback */
export const serverHealthKeys = (port: number) => ({
  ...clientHealthKeys(port),
  /** HTTPS with this process's own certificate. */
  tls: z.boolean().default(false),
  /** Identities that may scrape with their certificate instead of a token. */
  clients: z.array(client).max(MAX_CLIENTS).default([]),
});

export interface HealthSettings {
  readonly listen: HostPort;
  readonly metrics: boolean;
  readonly tls: boolean;
  /** `<role>/<name>` of the pinned CA's clients that may scrape. */
  readonly clients: ReadonlySet<string>;
  readonly token: BearerToken | undefined;
}

/** @throws ZtnaError when the token's file is not as it should be */
export const loadHealthSettings = ({ listen, metrics, token, tls = false, clients = [] }: Guarded): HealthSettings => ({
  listen,
  metrics,
  tls,
  clients: new Set(clients),
  token: token === undefined ? undefined : new BearerToken(readBearerToken(token)),
});

/** Of a `health` section: what takes effect at the next start only. Token and clients are taken up by a reload. */
export const healthNeedsRestart = <Key extends string>(
  before: Readonly<Record<Key, unknown>> | undefined,
  after: Readonly<Record<Key, unknown>> | undefined,
  keys: readonly Key[],
): string[] => {
  if (!before || !after) return before === after ? [] : ['health'];
  return keys.filter((key) => !isDeepStrictEqual(before[key], after[key])).map((key) => `health.${key}`);
};

/** 127.0.0.0/8, ::1, and the former as IPv4-mapped IPv6 (RFC 4291 §2.5.5.2). */
export const isLoopback = (host: string): boolean => /^(?:::ffff:)?127\.\d+\.\d+\.\d+$/i.test(host) || host === '::1';
