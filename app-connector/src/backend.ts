// The connector's side of a flow: reaches the one backend the configuration names for a service.
// No address ever comes from the wire. Owns dialing and its failure codes; the bytes are flow/'s.

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect, isIP, isIPv6, type Socket } from 'node:net';
import type { Socket as UdpSocket } from 'node:dgram';
import type { FailureCode } from '@ztna/protocol';

/** Longer than any healthy backend in the same network needs; shorter than a user's patience. */
export const BACKEND_CONNECT_TIMEOUT_MS = 10_000;

export interface BackendAddress {
  /** IP literal or DNS name; a name is resolved for every flow. */
  readonly host: string;
  readonly port: number;
}

export type Dialed<T> = { readonly ok: true; readonly socket: T } | { readonly ok: false; readonly code: FailureCode; readonly reason: string };

/** Connects, trying IPv6 and IPv4 addresses of a name by RFC 8305. Never rejects. */
export const dialTcpBackend = (backend: BackendAddress, timeoutMs = BACKEND_CONNECT_TIMEOUT_MS): Promise<Dialed<Socket>> =>
  new Promise((resolve) => {
    const socket = connect({ host: backend.host, port: backend.port, allowHalfOpen: true, noDelay: true });
    const fail = (code: FailureCode, reason: string): void => {
      socket.destroy();
      resolve({ ok: false, code, reason });
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(codeOf(error), errnoOf(error));
    const timer = setTimeout(() => fail('backend_timeout', `no answer within ${timeoutMs / 1000} s`), timeoutMs);
    socket.once('error', onError);
    socket.once('close', () => clearTimeout(timer));
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      resolve({ ok: true, socket });
    });
  });

/** A socket connected to the backend, so that the kernel drops datagrams from anyone else. Never rejects. */
export const dialUdpBackend = async (backend: BackendAddress): Promise<Dialed<UdpSocket>> => {
  let host = backend.host;
  if (!isIP(host)) {
    try {
      host = (await lookup(host)).address;
    } catch (error) {
      return { ok: false, code: 'backend_name_unresolved', reason: errnoOf(error as NodeJS.ErrnoException) };
    }
  }
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close();
      resolve({ ok: false, code: codeOf(error), reason: errnoOf(error) });
    });
    socket.connect(backend.port, host, () => {
      socket.removeAllListeners('error');
      resolve({ ok: true, socket });
    });
  });
};

const CODES: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: 'backend_refused',
  ETIMEDOUT: 'backend_timeout',
  ENOTFOUND: 'backend_name_unresolved',
  EAI_AGAIN: 'backend_name_unresolved',
};

/** With several addresses the error of the last attempt decides. */
const codeOf = (error: NodeJS.ErrnoException): FailureCode => CODES[errnoOf(error)] ?? 'backend_unreachable';

/** The errno name only: the address is the connector's business, not the agent's. */
const errnoOf = (error: NodeJS.ErrnoException): string => {
  const last = error instanceof AggregateError ? (error.errors.at(-1) as NodeJS.ErrnoException | undefined) : error;
  return last?.code ?? 'unknown error';
};
