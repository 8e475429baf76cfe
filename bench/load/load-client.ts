// A client of the relay without anything behind it: registers, has a session, and either sends datagrams
// at the rate it is told (agent) or counts them (connector). Says `ready` once it could.

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
  quicPems,
  RelayDriver,
  SessionCarrier,
  SOFTWARE,
  type AgentSessionCommand,
  type ConnectorSessionCommand,
  type EventCommand,
  type Identity,
  type RelayDriverInit,
} from '@ztna/protocol';
import { LOAD_SERVICE, type LoadClientSettings } from './load-settings.js';
import { Pacer, RUN_PACKETS } from './pacer.js';
import { answerRequests, report, settings } from './requests.js';

const { role, directory, name, relay, udp, packetBytes } = settings<LoadClientSettings>();
const file = (suffix: string): string => join(directory, `${name}.${suffix}`);
const tls = loadTlsMaterial({ ca: join(directory, 'ca.crt'), certificate: file('crt'), key: file('key') }, { role });
const { key } = loadDocument(file('regkey'), parseRegistrationKey, { secret: true });
const relays = [{ name: 'relay-1', ...relay }];
const carrier = new SessionCarrier();

let received = 0;
carrier.start({ onPacket: () => void received++, onBatchEnd: () => undefined });

const shared = (services: string[]) => ({
  software: SOFTWARE,
  relays: [{ trustDomain: tls.identity.trustDomain, name: 'relay-1' }],
  random: Math.random,
  wallClock: Date.now,
  mintToken: (audience: Identity, now: number) =>
    mintToken({ identity: tls.identity, services, audience: formatIdentity(audience), binding: tls.fingerprint }, key, { now, randomBytes }),
});

const config = createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 });
const openSocket: RelayDriverInit<AgentSessionCommand>['openSocket'] = (address) => openDatagramSocket(address, { mode: udp });
const link = { identity: tls.identity, relays, config, carrier, openSocket };

const startAgent = (): void => {
  let host: string | undefined;
  const run = Buffer.alloc(RUN_PACKETS * packetBytes, 7);
  const pacer = new Pacer((packets) => {
    if (host !== undefined) carrier.sendRun(run, packets * packetBytes, packetBytes, host);
  });
  const machine = new AgentMachine({ ...shared([]), failFast: false });
  const perform = (command: AgentSessionCommand | EventCommand): void => {
    if (command.kind === 'sessionOpened') {
      ({ host } = carrier.addSession(command.session, driver.outer(command.link)!));
      report({ ready: true });
    } else if (command.kind === 'event' && command.event.name === 'registered') {
      machine.openSession(LOAD_SERVICE, performance.now());
      setImmediate(() => driver.pump());
    } else if (command.kind === 'event') report({ ...command.event, event: command.event.name });
  };
  const driver = new RelayDriver<AgentSessionCommand>({ ...link, machine, perform });
  machine.start(performance.now());
  driver.pump();
  answerRequests(
    () => ({ sent: pacer.sent, refused: carrier.sendErrors }),
    ({ rate }) => rate === undefined || pacer.setRate(Number(rate)),
  );
};

const startConnector = (): void => {
  const machine = new ConnectorMachine({ ...shared([LOAD_SERVICE]), services: [LOAD_SERVICE], limits: { maxSessions: 1_000_000 } });
  const perform = (command: ConnectorSessionCommand | EventCommand): void => {
    if (command.kind === 'sessionIncoming') carrier.addSession(command.session, driver.outer(command.link)!);
    else if (command.kind === 'event') report(command.event.name === 'registered' ? { ready: true } : { ...command.event, event: command.event.name });
  };
  const driver = new RelayDriver<ConnectorSessionCommand>({ ...link, machine, perform });
  machine.start(performance.now());
  driver.pump();
  answerRequests(() => ({ received }));
};

if (role === 'agent') startAgent();
else startConnector();
