// From somebody without a certificate or a key: packets that are no QUIC, or hardly.

import { randomBytes, randomInt } from 'node:crypto';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, tally, type Attack } from '../attack.js';
import { isRetry, isVersionNegotiation, noiseInitial } from '../hostile/long-packets.js';
import { UdpSwarm } from '../hostile/udp-swarm.js';

const PORTS = 64;
/** Packets between two turns of the attacker's event loop. */
const BURST = 64;
/** Loopback loses packets of a flood in the relay's socket buffer; this share of them surely arrives. */
const ARRIVING = 0.05;

const swarm = async (lab: AbuseLab, size = PORTS): Promise<UdpSwarm> => lab.keep(await UdpSwarm.open(lab.port, Array.from({ length: size }, () => lab.source())));
const randomPacket = (firstByte: number, length = randomInt(1, 1400)): Buffer => {
  const packet = randomBytes(length);
  packet[0] = firstByte;
  return packet;
};

export const junkFlood: Attack = {
  name: `junk UDP at full speed from ${PORTS} ports`,
  expected: 'every packet dropped and counted, not one byte back',
  async run(lab) {
    const sockets = await swarm(lab);
    const packets = Array.from({ length: 256 }, (_, i) => randomPacket(i & 0x3f));
    for await (const round of lab.rounds()) for (let i = 0; i < BURST; i++) sockets.send(packets[(round * BURST + i) % packets.length]!);
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`, { 'packet.not_quic': Math.floor(sockets.packetsSent * ARRIVING) });
  },
};

export const shortHeaderFlood: Attack = {
  name: 'packets for connections that are not there',
  expected: 'dropped as unknown_connection, not one byte back',
  async run(lab) {
    const sockets = await swarm(lab);
    for await (const _ of lab.rounds()) for (let i = 0; i < BURST; i++) sockets.send(randomPacket(0x40 | randomInt(0x40), randomInt(17, 1400)));
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`, { 'packet.unknown_connection': Math.floor(sockets.packetsSent * ARRIVING) });
  },
};

const EDGE_SIZES = [0, 1, 5, 6, 7, 15, 16, 17, 20, 21, 22];

export const edgeSizes: Attack = {
  name: `packets of exactly ${EDGE_SIZES.join(', ')} bytes`,
  expected: 'dropped, not one byte back',
  async run(lab) {
    const sockets = await swarm(lab, 4);
    for await (const _ of lab.rounds(5)) {
      for (const size of EDGE_SIZES) for (const first of [0x00, 0x40, 0x80, 0xc0, 0xff]) sockets.send(size === 0 ? Buffer.alloc(0) : randomPacket(first, size));
    }
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`, { 'packet.not_quic': 10 });
  },
};

const LARGE_SIZES = [1500, 9000, 65_000];

export const largePackets: Attack = {
  name: `packets of ${LARGE_SIZES.join(', ')} bytes`,
  expected: 'junk is dropped; an Initial gets a Retry smaller than itself',
  async run(lab) {
    const sockets = await swarm(lab, 4);
    for await (const _ of lab.rounds(5)) for (const size of LARGE_SIZES) for (const first of [0x00, 0x41]) sockets.send(randomPacket(first, size));
    const junkAnswers = sockets.packetsReceived;
    const answers: Buffer[] = [];
    for (const size of LARGE_SIZES) answers.push(await sockets.ask(noiseInitial({ size })));
    return new Findings()
      .equal(junkAnswers, 0, 'answers to junk')
      .check(answers.every((answer) => isRetry(answer) && answer.length < 200), 'an Initial was answered with something else than a small Retry')
      .seen(`${sockets.packetsSent} packets; junk ${junkAnswers} answers, Initials a Retry of ${answers.map(({ length }) => length).join(', ')} bytes`, { 'packet.not_quic': 10 });
  },
};

const REASONABLE_AMPLIFICATION = 3;
/** 70 Mbit/s. Each costs the relay a Retry: more would show how fast this machine is, as attacker and relay share it. */
const INITIALS_PER_MS = 8;

/** A flood of Initials from addresses that never go on: what a spoofed source would be sent. */
export const initialFlood: Attack = {
  name: `Initials from ${PORTS} addresses that never answer`,
  expected: 'at most 3 bytes back for each byte in (RFC 9000 §8.1), only Retries, no state',
  async run(lab) {
    const sockets = await swarm(lab);
    for await (const _ of lab.rounds(1)) for (let i = 0; i < INITIALS_PER_MS; i++) sockets.send(noiseInitial());
    const factor = sockets.bytesReceived / sockets.bytesSent;
    return new Findings()
      .check(factor <= REASONABLE_AMPLIFICATION, `amplification ${factor.toFixed(2)}`)
      .check(sockets.packetsReceived > 0 && sockets.packetsReceived <= sockets.packetsSent, 'not one answer for each at the most')
      .check(sockets.answers.every(isRetry), 'answers that are no Retry')
      .equal(lab.relay.events.filter(({ event }) => event === 'handshake_refused').length, 0, 'handshakes begun')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} Retries, ${factor.toFixed(3)} bytes back for each byte in`);
  },
};

export const smallInitials: Attack = {
  name: 'Initials below 1200 bytes, or with a destination id below 8',
  expected: 'dropped as initial_too_small and long_header_malformed, not one byte back',
  async run(lab) {
    const sockets = await swarm(lab, 4);
    for await (const _ of lab.rounds(5)) {
      for (const size of [64, 600, 1199]) sockets.send(noiseInitial({ size }));
      for (const length of [0, 1, 7, 21, 255]) sockets.send(noiseInitial({ dcid: randomBytes(length) }));
    }
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`, { 'packet.initial_too_small': 10, 'packet.long_header_malformed': 10 });
  },
};

export const versionLoops: Attack = {
  name: 'version negotiation loops: unknown versions, and Version Negotiation at the relay',
  expected: 'an unknown version is answered once, smaller; Version Negotiation never',
  async run(lab) {
    const [asking, answering] = [await swarm(lab, 4), await swarm(lab, 4)];
    for await (const _ of lab.rounds(2)) {
      for (const version of [2, 0x0a0a0a0a, 0x6b3343cf, 0xff00001d, 0xffffffff]) asking.send(noiseInitial({ version }));
      answering.send(noiseInitial({ version: 0 }));
      // What comes back is thrown right back: a loop, if the relay takes part in it.
      for (const answer of asking.answers.splice(0)) answering.send(Buffer.concat([answer, Buffer.alloc(1200 - answer.length)]));
    }
    await asking.ask(noiseInitial({ version: 0x7f }));
    const factor = asking.bytesReceived / asking.bytesSent;
    return new Findings()
      .check(asking.packetsReceived > 0 && asking.packetsReceived <= asking.packetsSent, `${asking.packetsReceived} answers`)
      .check(asking.answers.every(isVersionNegotiation), 'answers that are no Version Negotiation')
      .check(factor < 1, `amplification ${factor.toFixed(2)}`)
      .equal(answering.packetsReceived, 0, 'answers to Version Negotiation')
      .seen(`${asking.packetsReceived} answers to ${asking.packetsSent} (${tally(asking.answers.slice(-1).map(({ length }) => `${length} bytes`))}), ${answering.packetsReceived} to ${answering.packetsSent}`, { 'packet.unknown_connection': 10 });
  },
};
