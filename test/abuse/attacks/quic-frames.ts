// A client with a certificate that breaks QUIC's own rules: frames no library would send. The rivals'
// and the libraries' CVEs are mostly here.

import { randomBytes } from 'node:crypto';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, type Attack } from '../attack.js';
import { FRAME_ROOM, FrameForge } from '../hostile/frame-forge.js';
import * as frames from '../hostile/frames.js';

const BURST = 32;

/** What a flood has to bring before it may end: far beyond what the relay may hold, however busy the machine. Packets. */
const FLOOD_PACKETS = 24_000;

/** Sends packets of `make` as long as the attack lasts, and longer until there are `FLOOD_PACKETS`, or the relay ends it. */
const flood = async (lab: AbuseLab, forge: FrameForge, make: () => Uint8Array[]): Promise<void> => {
  for await (const _ of lab.rounds(0, () => forge.packetsSent >= FLOOD_PACKETS)) {
    if (forge.client.hasEnded) return;
    for (let i = 0; i < BURST; i++) forge.send(...make());
  }
  // What is under way may yet end it.
  await Promise.race([forge.client.ended, forge.drained()]);
};

const fate = async ({ client, packetsSent }: FrameForge, lab: AbuseLab): Promise<string> => {
  // The relay says once that it closes; under a flood that one packet may be lost.
  const fault = lab.relay.events.find(({ event, fatal }) => event === 'control_fault' && fatal === true);
  if (!client.hasEnded) return `${packetsSent} packets, ${fault ? `closed by the relay with ${String(fault.code)}` : 'connection stands'}`;
  const { code, by } = await client.ended;
  return `${packetsSent} packets, closed by ${by} with ${code}`;
};

/** Single frames that end a connection by themselves. */
const VIOLATIONS: Readonly<Record<string, () => Uint8Array>> = {
  'a second stream, beyond the limit of one': () => frames.stream(4, 0, Buffer.from('x')),
  'stream 4 000 000': () => frames.stream(4_000_000, 0, Buffer.from('x')),
  'a unidirectional stream': () => frames.stream(2, 0, Buffer.from('x')),
  'a stream only the relay may open': () => frames.stream(1, 0, Buffer.from('x')),
  'data beyond the flow control window': () => frames.stream(0, 1024 * 1024, Buffer.from('x')),
  'a connection id sequence that retires the future': () => frames.newConnectionId(1, 9, randomBytes(16), randomBytes(16)),
  'a connection id of 21 bytes': () => frames.newConnectionId(1, 0, randomBytes(21), randomBytes(16)),
  'a retired id that was never issued': () => frames.retireConnectionId(4_000),
  'HANDSHAKE_DONE, which only a server sends': () => frames.handshakeDone(),
  'a frame type nobody assigned': () => frames.unknownFrame(),
};

export const frameViolations: Attack = {
  name: 'frames beyond what QUIC allows: stream, flow control and id limits, unknown types',
  expected: `each of ${Object.keys(VIOLATIONS).length} ends its connection with a protocol error, and no other`,
  async run(lab) {
    const findings = new Findings();
    for (const [what, make] of Object.entries(VIOLATIONS)) {
      const forge = await FrameForge.join(lab, 'mallory');
      forge.send(make());
      const end = await Promise.race([forge.client.ended, lab.patience()]);
      findings.check(end?.by === 'peer' && end.code === 'protocol_error', `${what}: ${end ? `${end.code} by ${end.by}` : 'not noticed'}`);
    }
    return findings.seen(`${Object.keys(VIOLATIONS).length - findings.faults.length} of ${Object.keys(VIOLATIONS).length} closed with protocol_error`);
  },
};

export const forgeWorks: Attack = {
  name: 'forged but lawful packets (PING)',
  expected: 'acknowledged, the connection stands: the refusals of the rows below are for the frames',
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    const before = forge.socket.packetsReceived;
    for await (const _ of lab.rounds(20)) forge.send(frames.ping());
    return new Findings()
      .check(!forge.client.hasEnded, 'the connection was closed')
      .check(forge.socket.packetsReceived > before, 'nothing was acknowledged')
      .seen(`${forge.packetsSent} packets, ${forge.socket.packetsReceived - before} answers`);
  },
};

export const streamFlood: Attack = {
  name: 'stream flood: every packet opens new streams',
  expected: 'closed at the first with a protocol error',
  async run(lab) {
    let forges = 0;
    const findings = new Findings();
    for await (const _ of lab.rounds(50)) {
      const forge = await FrameForge.join(lab, 'mallory');
      forges++;
      for (let id = 4; id < 4_000; id += 4 * BURST) forge.send(...Array.from({ length: BURST }, (_, i) => frames.stream(id + 4 * i, 0, Buffer.from('x'))));
      const end = await Promise.race([forge.client.ended, lab.patience()]);
      findings.check(end?.code === 'protocol_error', `not closed: ${end?.code ?? 'stands'}`);
    }
    return findings.seen(`${forges} connections, each closed with protocol_error`);
  },
};

/** CVE-2024-22189 (quic-go), CVE-2024-1410 (quiche): ids retired faster than the victim can say so. */
export const connectionIdFlood: Attack = {
  name: 'connection id exhaustion: NEW_CONNECTION_ID that retires all before it, never acknowledged',
  expected: 'closed with a protocol error, or memory stays bounded',
  growthMiB: 48,
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    let sequence = 1;
    const per = Math.floor(FRAME_ROOM / frames.newConnectionId(100_000, 100_000, randomBytes(8), randomBytes(16)).length);
    await flood(lab, forge, () => Array.from({ length: per }, () => frames.newConnectionId(++sequence, sequence, randomBytes(8), randomBytes(16))));
    return new Findings().seen(`${sequence} ids; ${await fate(forge, lab)}`);
  },
};

/** CVE-2024-1765 (quiche): post-handshake CRYPTO data that is buffered and never read. */
export const cryptoFlood: Attack = {
  name: 'CRYPTO frames after the handshake, with gaps',
  expected: 'closed with a protocol error (CRYPTO_BUFFER_EXCEEDED), or memory stays bounded',
  growthMiB: 16,
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    const data = randomBytes(FRAME_ROOM - 20);
    let offset = 1;
    await flood(lab, forge, () => [frames.crypto((offset += data.length + 1), data)]);
    return new Findings().seen(`${(offset / 1024 / 1024).toFixed(1)} MiB of CRYPTO data; ${await fate(forge, lab)}`);
  },
};

/** CVE-2023-6193 (quiche): PATH_RESPONSEs queued without bound. */
export const pathChallengeFlood: Attack = {
  name: 'PATH_CHALLENGE flood, answers never acknowledged',
  expected: 'closed, or memory and answers stay bounded',
  growthMiB: 16,
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    const block = Array.from({ length: Math.floor(FRAME_ROOM / 9) }, () => frames.pathChallenge(randomBytes(8)));
    let sentBytes = 0;
    const before = forge.socket.bytesReceived;
    await flood(lab, forge, () => {
      sentBytes += FRAME_ROOM;
      return block;
    });
    const factor = (forge.socket.bytesReceived - before) / Math.max(1, sentBytes);
    return new Findings().check(factor <= 3, `amplification ${factor.toFixed(1)}`).seen(`${factor.toFixed(2)} bytes back for each byte in; ${await fate(forge, lab)}`);
  },
};

/** One byte in each two of the stream's window, over and over. */
export const fragmentFlood: Attack = {
  name: 'control stream in one-byte fragments with gaps that are never filled',
  expected: 'held within the flow control window of 128 KiB; memory bounded',
  growthMiB: 48,
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    let offset = 8_192;
    const x = Buffer.from('x');
    await flood(lab, forge, () => Array.from({ length: 160 }, () => frames.stream(0, (offset = offset + 2 > 120_000 ? 8_192 : offset + 2), x)));
    return new Findings().seen(await fate(forge, lab));
  },
};

/** CVE-2025-4820 (quiche): a window grown by acknowledgements of packets that were never sent. */
export const optimisticAck: Attack = {
  name: 'acknowledgements of packets never sent',
  expected: 'closed, or of no effect',
  async run(lab) {
    const forge = await FrameForge.join(lab, 'mallory');
    let largest = 10_000;
    const before = forge.socket.bytesReceived;
    await flood(lab, forge, () => [frames.ack(largest++)]);
    const received = forge.socket.bytesReceived - before;
    return new Findings().check(received < 4 * 1024 * 1024, `${received} bytes back`).seen(`${received} bytes back; ${await fate(forge, lab)}`);
  },
};
