// What a hostile or curious peer does below the product's QUIC port: no client certificate, key logs,
// session tickets. The product has no switch for any of it (createQuicConfig always sets a certificate,
// no connection logs its keys), so a test stands between the adapter and the binding instead.

import { quiche } from '@matrixai/quic/native/index.js';
import type { Config, Connection } from '@matrixai/quic/native/types.js';
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

/**
 * Calls `tap` with each connection this process starts as a client, before its first packet, and `prepare`
 * with its configuration before that; returns what ends it.
 */
export const tapClientConnections = (
  tap: (connection: Connection, serverName: string) => void,
  prepare: (config: Config, serverName: string) => void = () => undefined,
): (() => void) => {
  native.Connection = {
    accept: (...args: Parameters<typeof RealConnection.accept>) => RealConnection.accept(...args),
    connect: (...args: Parameters<typeof RealConnection.connect>) => {
      const [serverName, , , , config] = args;
      prepare(config, serverName ?? '');
      const connection = RealConnection.connect(...args);
      tap(connection, serverName ?? '');
      return connection;
    },
  };
  return () => {
    native.Connection = RealConnection;
  };
};

/** Calls `tap` with each connection this process accepts as a server; returns what ends it. */
export const tapServerConnections = (tap: (connection: Connection) => void): (() => void) => {
  native.Connection = {
    connect: (...args: Parameters<typeof RealConnection.connect>) => RealConnection.connect(...args),
    accept: (...args: Parameters<typeof RealConnection.accept>) => {
      const connection = RealConnection.accept(...args);
      tap(connection);
      return connection;
    },
  };
  return () => {
    native.Connection = RealConnection;
  };
};

/** Writes the TLS secrets of client connections to `serverName` to a file, as NSS key log lines; returns what ends that. */
export const logClientKeys = (serverName: string, path: string): (() => void) =>
  tapClientConnections(
    (connection, name) => {
      if (name === serverName) connection.setKeylog(path);
    },
    (config, name) => {
      if (name === serverName) config.logKeys();
    },
  );
