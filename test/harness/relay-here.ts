// A relay in the test's own process, from the same configuration file a process would read: for tests that look
// at its counters or stand between it and its socket.

import { createLogger, openPlainSocket, type DatagramSocket } from '@ztna/protocol';
import { loadRelaySettings, RelayServer, type RelaySettings } from '@ztna/intermediate-server';
import type { Test } from 'tap';
import type { Lab } from './lab.js';

export interface RelayHere {
  readonly server: RelayServer;
  readonly settings: RelaySettings;
  readonly port: number;
}

export interface RelayHereInit {
  readonly policy: Parameters<Lab['writeRelay']>[0];
  /** Of relay.yaml, beside what every relay needs. */
  readonly extra?: object;
  /** Changes what the file cannot say, such as times shorter than it takes. */
  readonly adjust?: (settings: RelaySettings) => RelaySettings;
  readonly wrapSocket?: (socket: DatagramSocket) => DatagramSocket;
}

/** Closed when the test ends. Clients are enrolled before. */
export const startRelayHere = async (t: Test, lab: Lab, { policy, extra = {}, adjust = (settings) => settings, wrapSocket = (socket) => socket }: RelayHereInit): Promise<RelayHere> => {
  const settings = adjust(loadRelaySettings(lab.writeRelay(policy, { extra })));
  const socket = wrapSocket(await openPlainSocket(settings.listen));
  const server = new RelayServer({ ...settings, log: createLogger({ name: 'relay', level: 'error', format: 'json' }), socket });
  t.teardown(() => server.close());
  return { server, settings, port: server.local.port };
};

/** Datagrams whose end is counted; equal to `received` once nothing waits. */
export const settledDatagrams = ({ machine }: RelayServer): number => {
  const { forwarded, consumed, dropped } = machine.counters.totals();
  return forwarded + consumed + Object.values(dropped).reduce((sum, count) => sum + count, 0);
};
