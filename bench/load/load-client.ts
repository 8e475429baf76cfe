// A client of the relay without anything behind it: registers, has a session, and either sends datagrams
// at a fixed rate (agent) or counts them (connector). Reports one JSON line per event on standard output.
//
//   node load-client.js agent|connector DIRECTORY NAME RELAY_PORT UDP_MODE DATAGRAMS_PER_SECOND

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import {
  AgentMachine,
  ConnectorMachine,
  createQuicConfig,
  formatIdentity,
  loadDocument,
  loadTlsMaterial,
  mintToken,
  openDatagramSocket,
  OUTER_PROFILE,
  parseRegistrationKey,
  RelayDriver,
  SessionCarrier,
  SOFTWARE,
  type AgentSessionCommand,
  type ConnectorSessionCommand,
  type EventCommand,
  type Identity,
  type RelayDriverInit,
  type UdpMode,
} from '@ztna/protocol';

const SERVICE = 'load';
const PACKET_BYTES = 1200;
const RUN_PACKETS = 40;
const REPORT_MS = 200;

const [role, directory, name, relayPort, mode, rateText] = process.argv.slice(2) as [string, string, string, string, UdpMode, string];
const rate = Number(rateText);
const file = (suffix: string): string => join(directory, `${name}.${suffix}`);
const tls = loadTlsMaterial({ ca: join(directory, 'ca.crt'), certificate: file('crt'), key: file('key') }, { role: role as 'agent' | 'connector' });
const { key } = loadDocument(file('regkey'), parseRegistrationKey, { secret: true });
const relays = [{ name: 'relay-1', host: '127.0.0.1', port: Number(relayPort) }];
const carrier = new SessionCarrier();
const report = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

let received = 0;
carrier.start({ onPacket: () => void received++, onBatchEnd: () => undefined });

const shared = (services: string[]) => ({
  software: SOFTWARE,
  relays: [{ trustDomain: tls.identity.trustDomain, name: 'relay-1' }],
  random: Math.random,
  wallClock: Date.now,
  mintToken: (relay: Identity, now: number) =>
    mintToken({ identity: tls.identity, services, audience: formatIdentity(relay), binding: tls.fingerprint }, key, { now, randomBytes }),
});

const config = createQuicConfig({ ...OUTER_PROFILE, maxStreams: 0, caPem: tls.caPem, certificatePem: tls.certificatePem, keyPem: tls.keyPem });
const openSocket: RelayDriverInit<AgentSessionCommand>['openSocket'] = (address) => openDatagramSocket(address, { mode });
const link = { identity: tls.identity, relays, config, carrier, openSocket };

/** Sends what is due each millisecond, and never catches up by more than 20 ms. */
const blast = (host: string): void => {
  const run = Buffer.alloc(RUN_PACKETS * PACKET_BYTES, 7);
  let due = 0;
  let sent = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    due = Math.min(due + ((now - last) / 1000) * rate, rate / 50);
    last = now;
    while (due >= 1) {
      const packets = Math.min(RUN_PACKETS, Math.floor(due));
      carrier.sendRun(run, packets * PACKET_BYTES, PACKET_BYTES, host);
      due -= packets;
      sent += packets;
    }
  }, 1);
  setInterval(() => report({ sent, refused: carrier.sendErrors }), REPORT_MS);
};

const startAgent = (): void => {
  const machine = new AgentMachine({ ...shared([]), failFast: true });
  const perform = (command: AgentSessionCommand | EventCommand): void => {
    if (command.kind === 'sessionOpened') {
      blast(carrier.addSession(command.session, driver.outer(command.link)!).host);
      report({ ready: true });
    } else if (command.kind === 'event' && command.event.name === 'registered') {
      machine.openSession(SERVICE, performance.now());
      setImmediate(() => driver.pump());
    }
  };
  const driver = new RelayDriver<AgentSessionCommand>({ ...link, machine, perform });
  machine.start(performance.now());
  driver.pump();
};

const startConnector = (): void => {
  const machine = new ConnectorMachine({ ...shared([SERVICE]), services: [SERVICE] });
  const perform = (command: ConnectorSessionCommand | EventCommand): void => {
    if (command.kind === 'sessionIncoming') carrier.addSession(command.session, driver.outer(command.link)!);
    else if (command.kind === 'event' && command.event.name === 'registered') report({ ready: true });
  };
  const driver = new RelayDriver<ConnectorSessionCommand>({ ...link, machine, perform });
  machine.start(performance.now());
  driver.pump();
  setInterval(() => report({ received }), REPORT_MS);
};

if (role === 'agent') startAgent();
else startConnector();
