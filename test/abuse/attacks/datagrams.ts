// Relayed datagrams: malformed, at sessions of others, too many, too late, and towards somebody who never reads.

import { randomBytes, randomInt } from 'node:crypto';
import { DATAGRAM_QUEUED, encodeHeader, type DropReason, type SessionHandle } from '@ztna/protocol';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, tally, type Attack } from '../attack.js';
import { openPair } from '../../harness/intruder.js';
import type { HostileClient } from '../../harness/hostile-client.js';
import { WilfulSocket } from '../hostile/sockets.js';

const BURST = 64;
const PAYLOAD = randomBytes(1_200);

const headerWith = (offset: number, value: number): Buffer => {
  const bytes = Buffer.from(encodeHeader({ type: 0, slot: 0, tag: 0 }));
  bytes[offset] = value;
  return bytes;
};

const MALFORMED: Readonly<Partial<Record<DropReason, readonly Buffer[]>>> = {
  header_too_short: [Buffer.alloc(0), Buffer.from([1]), Buffer.from(encodeHeader({ type: 0, slot: 0, tag: 0 }).subarray(0, 15))],
  bad_magic: [0, 1, 2, 3].map((offset) => headerWith(offset, 0x40)).concat(randomBytes(64).fill(0x55, 0, 4)),
  bad_version: [headerWith(4, 0), headerWith(4, 2), headerWith(4, 255)],
  bad_type: [headerWith(5, 3), headerWith(5, 200), headerWith(5, 255)],
  reserved_bits_set: [headerWith(6, 1), headerWith(7, 1), headerWith(6, 255)],
};

export const malformedDatagrams: Attack = {
  name: 'datagrams with every malformed header',
  expected: 'each dropped and counted by its reason; nothing answered, the connection stands',
  async run(lab) {
    const client = await lab.join('agent', 'mallory');
    for await (const _ of lab.rounds(5)) for (const datagram of Object.values(MALFORMED).flat()) client.sendDatagram(datagram);
    await client.roundTrip();
    const counted = Object.fromEntries(Object.keys(MALFORMED).map((reason) => [`datagram.${reason}`, 10]));
    return new Findings().equal(client.datagramsReceived, 0, 'answers').seen(`${client.datagramsReceived} answers, connection stands`, counted);
  },
};

export const unregisteredDatagrams: Attack = {
  name: 'datagrams before registration, and before hello',
  expected: 'dropped as not_registered',
  async run(lab) {
    const client = await lab.dial('mallory');
    for await (const _ of lab.rounds(5)) for (let slot = 0; slot < 8; slot++) client.sendSessionDatagram({ slot, tag: randomInt(2 ** 32) }, PAYLOAD);
    client.hello('agent');
    await client.roundTrip();
    return new Findings().equal(client.datagramsReceived, 0, 'answers').seen(`${client.datagramsReceived} answers`, { 'datagram.not_registered': 10 });
  },
};

export const slotScan: Attack = {
  name: 'slot scanning: every slot in turn and at random, tags guessed',
  expected: 'slot_unknown, not_owner or tag_mismatch for each; nothing forged arrives, told and logged once',
  async run(lab) {
    const arrived: string[] = [];
    const onDatagram = (payload: Buffer, length: number): void => void arrived.push(payload.toString('latin1', 16, length));
    const connector = await lab.join('connector', 'rogue', ['ssh'], { onDatagram });
    const victim = await lab.join('agent', 'trudy', [], { onDatagram });
    const { agentEnd } = await openPair(victim, connector);
    const mallory = await lab.join('agent', 'mallory');
    let guesses = 0;
    for await (const _ of lab.rounds()) {
      for (let i = 0; i < BURST; i++) {
        const slot = i % 2 === 0 ? guesses % 4096 : randomInt(2 ** 32);
        mallory.sendSessionDatagram({ slot, tag: randomInt(2 ** 32) }, Buffer.from('forged'));
        mallory.sendSessionDatagram({ ...agentEnd, tag: randomInt(2 ** 32) }, Buffer.from('forged'));
        guesses += 2;
      }
      await mallory.roundTrip();
      victim.sendSessionDatagram(agentEnd, Buffer.from('mine'));
    }
    await connector.whenDatagrams(1);
    const told = mallory.messages.filter(({ type }) => type === 'error').length;
    const logged = lab.relay.events.filter(({ event }) => event === 'datagram_refused').length;
    return new Findings()
      .check(arrived.every((text) => text === 'mine'), `arrived: ${tally(arrived)}`)
      .equal(told, 1, 'told')
      .equal(logged, 1, 'logged')
      .seen(`${guesses} guesses; arrived: ${tally(arrived)}; told ${told} times`, { 'datagram.not_owner': 100, 'datagram.slot_unknown': 100 });
  },
};

export const lateDatagrams: Attack = {
  name: 'datagrams after the session was closed',
  expected: 'dropped as slot_unknown or not_owner; none arrives',
  async run(lab) {
    const connector = await lab.join('connector', 'rogue', ['ssh']);
    const agent = await lab.join('agent', 'mallory');
    const { agentEnd, connectorEnd } = await openPair(agent, connector);
    agent.send({ type: 'closeSession', session: agentEnd });
    await connector.take('sessionClosed');
    for await (const _ of lab.rounds(2)) {
      agent.sendSessionDatagram(agentEnd, PAYLOAD);
      connector.sendSessionDatagram(connectorEnd, PAYLOAD);
    }
    await Promise.all([agent.roundTrip(), connector.roundTrip()]);
    const arrived = agent.datagramsReceived + connector.datagramsReceived;
    return new Findings().equal(arrived, 0, 'arrived').seen(`${arrived} arrived`, { 'datagram.slot_unknown': 20 });
  },
};

/** Sends as fast as QUIC takes it; returns datagrams queued. */
const floodSession = async (lab: AbuseLab, client: HostileClient, session: SessionHandle): Promise<number> => {
  let sent = 0;
  const datagram = Buffer.concat([encodeHeader({ type: 0, ...session }), PAYLOAD]);
  for await (const _ of lab.rounds()) for (let i = 0; i < BURST; i++) if (client.sendDatagram(datagram) === DATAGRAM_QUEUED) sent++;
  return sent;
};

export const datagramFlood: Attack = {
  name: "datagram flood into the attacker's own session",
  expected: 'forwarded as the congestion window and the rate limits allow; the innocent transfer goes on',
  async run(lab) {
    const connector = await lab.join('connector', 'rogue', ['ssh']);
    const agent = await lab.join('agent', 'mallory');
    const { agentEnd } = await openPair(agent, connector);
    const sent = await floodSession(lab, agent, agentEnd);
    return new Findings().check(connector.datagramsReceived > 0, 'nothing was forwarded').seen(`${sent} queued, ${connector.datagramsReceived} forwarded`);
  },
};

export const neighbourFlood: Attack = {
  name: "datagram flood at the innocent user's own connector, over a lawful session",
  expected: "the neighbour's transfer keeps its share of that connector's queue",
  async run(lab) {
    const agent = await lab.join('agent', 'mallory');
    agent.open('web');
    const { session } = await agent.take('opened');
    const sent = await floodSession(lab, agent, session);
    await agent.roundTrip();
    return new Findings().check(sent > 0, 'nothing was sent').seen(`${sent} queued`);
  },
};

export const deafReceiver: Attack = {
  name: 'datagram flood at a peer that never reads and never acknowledges',
  expected: 'its bounded queue drops them, counted; memory bounded by 4096 datagrams',
  growthMiB: 32,
  async run(lab) {
    let socket: WilfulSocket | undefined;
    const connector = await lab.join('connector', 'rogue', ['ssh'], { wrapSocket: (inner) => (socket = new WilfulSocket(inner)) });
    const agent = await lab.join('agent', 'mallory');
    const { agentEnd } = await openPair(agent, connector);
    socket!.isDeaf = true;
    socket!.isDumb = true;
    const sent = await floodSession(lab, agent, agentEnd);
    await agent.roundTrip();
    return new Findings().check(sent > 0, 'nothing was sent').seen(`${sent} queued by the sender, ${socket!.packetsReceived} packets at the deaf peer's socket`);
  },
};

export const keepaliveFlood: Attack = {
  name: 'keepalive flood: datagrams that the relay answers itself',
  expected: 'one answer for each at the most, to the sender alone',
  async run(lab) {
    const agent = await lab.join('agent', 'mallory');
    const keepalive = Buffer.from(encodeHeader({ type: 1, slot: 0, tag: 7 }));
    let sent = 0;
    for await (const _ of lab.rounds()) for (let i = 0; i < BURST; i++) if (agent.sendDatagram(keepalive) === DATAGRAM_QUEUED) sent++;
    await agent.roundTrip();
    return new Findings().check(agent.datagramsReceived > 0 && agent.datagramsReceived <= sent, `${agent.datagramsReceived} answers`).seen(`${sent} sent, ${agent.datagramsReceived} answered`);
  },
};
