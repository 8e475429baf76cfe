// Run by a test: many clients in one process, each with a link and a loopback address of its own, as light as
// clients get: the product's machine and driver, no sessions. Tells on standard error when each is registered or lost.
//
//   node crowd-program.js <agent.yaml> <first number> <how many>

import { agentSchema } from '@ztna/agent';
import {
  AgentMachine, createQuicConfig, formatAddress, formatIdentity, loadClientSettings, loadConfig, mintToken, openPlainSocket,
  OUTER_PROFILE, quicPems, RelayDriver, SessionCarrier, SOFTWARE, type AgentSessionCommand,
} from '@ztna/protocol';
import { randomBytes } from 'node:crypto';

const [, , path = '', first = '0', count = '0'] = process.argv;
const { config: sections } = loadConfig(path, agentSchema);
const { tls, registrationKey, relays } = loadClientSettings('agent', sections);
const { identity, fingerprint: binding } = tls;
const config = createQuicConfig({ ...OUTER_PROFILE, ...quicPems(tls), maxStreams: 0 });

/** 127.16.0.1 and on: every client has an address of its own, as behind no common NAT. */
const addressOf = (number: number): string => `127.${16 + (number >> 16)}.${(number >> 8) & 0xff}.${(number & 0xff) || 1}`;

const startClient = (number: number): void => {
  const machine = new AgentMachine({
    software: SOFTWARE,
    relays: relays.map((relay) => ({ trustDomain: identity.trustDomain, name: relay.name, address: formatAddress(relay) })),
    random: Math.random,
    wallClock: Date.now,
    mintToken: (relay, now) => mintToken({ identity, services: [], audience: formatIdentity(relay), binding }, registrationKey, { now, randomBytes }),
  });
  const driver = new RelayDriver<AgentSessionCommand>({
    machine,
    identity,
    relays,
    config,
    carrier: new SessionCarrier(),
    openSocket: () => openPlainSocket({ host: addressOf(number), port: 0 }),
    perform: (command) => {
      if (command.kind !== 'event') return;
      const { name, level } = command.event;
      const at = performance.timeOrigin + performance.now();
      const { code, reason } = { code: undefined, reason: undefined, ...command.event };
      if (name === 'registered' || name === 'disconnected') process.stderr.write(`${JSON.stringify({ level, name: 'crowd', event: name, client: number, at, code, reason })}\n`);
    },
  });
  machine.start(performance.now());
  driver.pump();
};

for (let number = Number(first); number < Number(first) + Number(count); number++) startClient(number);
