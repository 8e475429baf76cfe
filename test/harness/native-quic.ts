// What a hostile or curious peer does below the product's QUIC port: no client certificate, key logs,
// session tickets. The product has no switch for any of it (createQuicConfig always sets a certificate,
// no connection logs its keys), so a test stands between the adapter and the binding instead.

import { quiche } from '@matrixai/quic/native/index.js';
import type { Connection } from '@matrixai/quic/native/types.js';
import { createQuicConfig, type QuicConfig, type QuicConfigInit } from '@ztna/protocol';

/** The binding's own object as a table of what may be replaced; the adapter looks it up at every call. */
const native = quiche as unknown as { Config: unknown; Connection: unknown };
const { Config: RealConfig, Connection: RealConnection } = quiche;

/** Like `createQuicConfig`, but this side shows no certificate. */
export const createAnonymousQuicConfig = (init: QuicConfigInit): QuicConfig => {
  native.Config = { withBoringSslCtx: () => RealConfig.withBoringSslCtx(true, false, init.caPem, null, null, null) };
  try {
    return createQuicConfig(init);
  } finally {
    native.Config = RealConfig;
  }
};

/** Calls `tap` with each connection this process starts as a client, before its first packet; returns what ends that. */
export const tapClientConnections = (tap: (connection: Connection, serverName: string) => void): (() => void) => {
  native.Connection = {
    accept: RealConnection.accept,
    connect: (...args: Parameters<typeof RealConnection.connect>) => {
      const connection = RealConnection.connect(...args);
      tap(connection, args[0] ?? '');
      return connection;
    },
  };
  return () => {
    native.Connection = RealConnection;
  };
};
