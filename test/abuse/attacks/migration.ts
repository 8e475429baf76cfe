// Addresses and connection ids that change all the time, and packets of others sent from elsewhere.

import type { Connection } from '@matrixai/quic/native/types.js';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, tally, type Attack } from '../attack.js';
import { encodeHeader } from '@ztna/protocol';
import { RoamingSocket, sendFrom, WilfulSocket } from '../hostile/sockets.js';
import { UdpSwarm } from '../hostile/udp-swarm.js';

const ADDRESSES = 24;
const KEEPALIVE = encodeHeader({ type: 1, slot: 0, tag: 0 });

/** One client that moves with every packet it sends, until its connection ends; then another. */
export const migrationStorm: Attack = {
  name: `migration storm: a client that moves among ${ADDRESSES} addresses with every packet`,
  expected: 'the connection stands; unproven addresses get challenges alone, memory bounded',
  growthMiB: 32,
  async run(lab) {
    let moves = 0;
    const fates: string[] = [];
    for await (const _ of lab.rounds(1)) {
      const others = await RoamingSocket.openOthers(Array.from({ length: ADDRESSES - 1 }, () => lab.source()));
      let socket: RoamingSocket | undefined;
      const client = await lab.join('agent', 'mallory', [], { wrapSocket: (inner) => (socket = new RoamingSocket(inner, others)) });
      for (let i = 0; i < 100 && !client.hasEnded; i++) {
        socket!.move();
        client.sendDatagram(KEEPALIVE);
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      moves += socket!.moves;
      fates.push(client.hasEnded ? `ended with ${(await client.ended).code}` : 'stands');
      await client.close();
    }
    return new Findings().check(moves > 0, 'no move').check(fates.every((fate) => fate === 'stands'), 'a connection ended').seen(`${moves} moves; ${tally(fates)}`);
  },
};

/** RFC 9000 §9.3: an address is believed only for packets that are new and decrypt. */
export const stolenPackets: Attack = {
  name: "somebody else's packets, recorded and sent again from another address",
  expected: 'dropped as duplicates: the victim is not moved, and hears nothing of it',
  async run(lab) {
    let socket: WilfulSocket | undefined;
    const victim = await lab.join('agent', 'trudy', [], { wrapSocket: (inner) => (socket = new WilfulSocket(inner)) });
    for (let i = 0; i < 20; i++) victim.sendDatagram(KEEPALIVE);
    await victim.whenDatagrams(20);
    let replayed = 0;
    for await (const _ of lab.rounds(20)) {
      await sendFrom(lab.source(), lab.port, socket!.sent);
      replayed += socket!.sent.length;
      await victim.roundTrip();
    }
    const moved = victim.messages.filter(({ type }) => type === 'observedAddress').length;
    return new Findings().equal(moved, 0, 'moved').check(!victim.hasEnded, 'the victim was cut off').seen(`${replayed} packets replayed, victim moved ${moved} times`);
  },
};

const CORRUPT_PACKETS = 12_000;

/** Somebody on the path who reads connection ids and can add packets, but has no keys. */
export const corruptedPackets: Attack = {
  name: "somebody else's packets with a bit changed, 12 000 and more of them",
  expected: 'dropped, and not held against the victim: its connection stands where it was',
  async run(lab) {
    let socket: WilfulSocket | undefined;
    const victim = await lab.join('agent', 'trudy', [], { wrapSocket: (inner) => (socket = new WilfulSocket(inner)) });
    victim.sendDatagram(Buffer.concat([KEEPALIVE, Buffer.alloc(1_200)]));
    await victim.whenDatagrams(1);
    const [packet] = socket!.sent.filter(({ length, [0]: first }) => length > 1_200 && (first! & 0x80) === 0).slice(-1);
    if (!packet) throw new Error('no large packet was recorded');
    const swarm = lab.keep(await UdpSwarm.open(lab.port, [lab.source(), lab.source()]));
    for await (const _ of lab.rounds(1, () => swarm.packetsSent >= CORRUPT_PACKETS)) {
      for (let i = 0; i < 12; i++) {
        packet[packet.length - 1 - (i % 16)]! ^= 1 + i;
        swarm.send(packet);
      }
    }
    await victim.roundTrip();
    const moved = victim.messages.filter(({ type }) => type === 'observedAddress').length;
    return new Findings()
      .check(!victim.hasEnded, 'the victim was cut off')
      .equal(moved, 0, 'moved')
      .equal(swarm.packetsReceived, 0, 'answers')
      .seen(`${swarm.packetsSent} packets, ${(swarm.bytesSent / 1024 / 1024).toFixed(1)} MiB; the victim's connection stands`);
  },
};

/** Retires every id the relay gives it, as soon as it has it. */
export const retireStorm: Attack = {
  name: 'a client that retires every connection id it is given at once',
  expected: 'at most 16 ids of a connection at a time, or the connection ends; memory bounded',
  growthMiB: 32,
  async run(lab) {
    const { retired, fate } = await retireAll(lab);
    return new Findings().check(retired > 0, 'no id was retired').seen(`${retired} ids retired; ${fate}`);
  },
};

const retireAll = async (lab: AbuseLab): Promise<{ retired: number; fate: string }> => {
  let native: Connection | undefined;
  const client = await lab.join('agent', 'mallory', [], { tap: (connection) => (native = connection) });
  let sequence = 0;
  for await (const _ of lab.rounds(1)) {
    if (client.hasEnded) break;
    for (let i = 0; i < 8; i++) {
      try {
        native!.retireDestinationCid(sequence);
        sequence++;
      } catch {
        break; // the last one, or not given yet
      }
    }
    client.connection.ping();
  }
  return { retired: sequence, fate: client.hasEnded ? `ended with ${(await client.ended).code}` : 'connection stands' };
};
