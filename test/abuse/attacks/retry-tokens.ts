// Retry tokens that are forged, of any size, replayed or too old: none of them begins a handshake.

import { randomBytes } from 'node:crypto';
import { relayDnsName, RETRY_TOKEN_TTL_MS } from '@ztna/protocol';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, handshakesAllowed, type Attack } from '../attack.js';
import { readCredentials } from '../../harness/intruder.js';
import { TRUST_DOMAIN } from '../../harness/lab.js';
import { crypto } from '../hostile/frames.js';
import { HalfHandshakes } from '../hostile/half-handshakes.js';
import { noiseInitial, readRetry, type Retry } from '../hostile/long-packets.js';
import { sealInitial } from '../hostile/packet-seal.js';
import { UdpSwarm } from '../hostile/udp-swarm.js';

const swarm = async (lab: AbuseLab, size: number): Promise<UdpSwarm> => lab.keep(await UdpSwarm.open(lab.port, Array.from({ length: size }, () => lab.source())));

const retryFor = async (sockets: UdpSwarm, index = 0): Promise<Retry> => {
  const retry = readRetry(await sockets.ask(noiseInitial(), index));
  if (!retry) throw new Error('the relay sent no Retry');
  return retry;
};

/** Handshakes that failed after they were let in. Noise that passes Retry ends as one of these. */
const begun = (lab: AbuseLab): number => lab.relay.events.filter(({ event }) => event === 'handshake_refused').length;

export const forgedTokens: Attack = {
  name: 'Retry tokens forged: random, and real ones with one bit changed',
  expected: 'dropped as retry_token_invalid without an answer, no handshake begun',
  async run(lab) {
    const sockets = await swarm(lab, 4);
    const { scid, token } = await retryFor(sockets);
    sockets.packetsReceived = 0;
    let forged = 0;
    for await (const round of lab.rounds(2)) {
      const changed = Buffer.from(token);
      changed[round % changed.length]! ^= 1 << (round % 8);
      sockets.send(noiseInitial({ token: changed, dcid: scid }), 0);
      sockets.send(noiseInitial({ token: randomBytes(token.length), dcid: randomBytes(16) }));
      forged += 2;
    }
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .equal(begun(lab), 0, 'handshakes')
      .seen(`${forged} forged, ${sockets.packetsReceived} answers`, { 'packet.retry_token_invalid': Math.floor(forged / 2) });
  },
};

const SIZES = [1, 2, 16, 34, 35, 36, 63, 64, 255, 1000, 1150];
/** RFC 9000 §16: the same numbers in 4 and 8 bytes, lengths beyond the packet, and the largest there is. */
const LENGTHS = ['80000010', 'c000000000000010', '7fff', 'bfffffff', 'ffffffffffffffff', '3f', '44ff'];

export const oddTokens: Attack = {
  name: 'huge and tiny Retry tokens, and lengths that lie',
  expected: 'dropped as retry_token_invalid or long_header_malformed without an answer',
  async run(lab) {
    const sockets = await swarm(lab, 4);
    for await (const _ of lab.rounds(10)) {
      for (const size of SIZES) sockets.send(noiseInitial({ token: randomBytes(size), dcid: randomBytes(16) }));
      for (const length of LENGTHS) sockets.send(noiseInitial({ tokenLength: Buffer.from(length, 'hex'), dcid: randomBytes(16) }));
      sockets.send(noiseInitial({ token: randomBytes(8_000), dcid: randomBytes(16), size: 9_000 }));
    }
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .equal(begun(lab), 0, 'handshakes')
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`, { 'packet.retry_token_invalid': 20, 'packet.long_header_malformed': 20 });
  },
};

export const replayedTokens: Attack = {
  name: 'Retry tokens replayed: from another address, another port, with another connection id',
  expected: 'dropped as retry_token_invalid without an answer',
  async run(lab) {
    const home = lab.source();
    const sockets = lab.keep(await UdpSwarm.open(lab.port, [home, home, lab.source(), lab.source()]));
    const { scid, token } = await retryFor(sockets);
    sockets.packetsReceived = 0;
    let replays = 0;
    for await (const _ of lab.rounds(5)) {
      for (const index of [1, 2, 3]) sockets.send(noiseInitial({ token, dcid: scid }), index);
      sockets.send(noiseInitial({ token, dcid: randomBytes(16) }), 0);
      replays += 4;
    }
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .equal(begun(lab), 0, 'handshakes')
      .seen(`${replays} replays, ${sockets.packetsReceived} answers`, { 'packet.retry_token_invalid': Math.floor(replays / 2) });
  },
};

/** A good token, and what comes with it is noise, again and again: does the relay make a connection of each? */
export const noiseBehindToken: Attack = {
  name: 'a good Retry token with noise behind it, the same packet again and again',
  expected: 'no more handshakes than the source may begin, 40 + 20/s; no answer',
  async run(lab) {
    const sockets = await swarm(lab, 1);
    const { scid, token } = await retryFor(sockets);
    sockets.packetsReceived = 0;
    const packet = noiseInitial({ token, dcid: scid });
    const start = performance.now();
    for await (const _ of lab.rounds(1)) for (let i = 0; i < 8; i++) sockets.send(packet, 0);
    const allowed = handshakesAllowed((performance.now() - start) / 1000);
    // Other rows' half handshakes run out during this one, so only those are counted that failed at once.
    const failed = lab.relay.events.filter(({ event, code }) => event === 'handshake_refused' && code !== 'handshake_timeout').length;
    return new Findings()
      .equal(sockets.packetsReceived, 0, 'answers')
      .check(failed <= allowed, `${failed} handshakes were begun and failed, at most ${allowed} were due`)
      .seen(`${sockets.packetsSent} packets, ${sockets.packetsReceived} answers, ${failed} handshakes begun and failed`);
  },
};

/** 24 MiB. */
const INITIALS = 24_000;

/** CVE-2024-1765's twin for people without a certificate: an Initial's keys are public, its CRYPTO data need not be in order. */
export const initialCryptoFlood: Attack = {
  name: 'CRYPTO frames with gaps in Initials, behind a good Retry token and without a certificate',
  expected: 'closed, or memory stays bounded',
  growthMiB: 16,
  async run(lab) {
    const sockets = await swarm(lab, 1);
    const { scid, token } = await retryFor(sockets);
    const data = randomBytes(1_000);
    let offset = 64;
    let number = 0;
    for await (const _ of lab.rounds(0, () => number >= INITIALS)) for (let i = 0; i < 32; i++) sockets.send(sealInitial(scid, token, number++, crypto((offset += data.length + 1), data)), 0);
    const factor = sockets.bytesReceived / sockets.bytesSent;
    return new Findings().check(factor <= 3, `amplification ${factor.toFixed(2)}`).seen(`${(offset / 1024 / 1024).toFixed(1)} MiB in ${sockets.packetsSent} packets, ${sockets.packetsReceived} answers`);
  },
};

const OLD_TOKENS = 5;

/** Waits, for real, until tokens it got at the start are too old. A fresh one from the same socket shows that only age is wrong. */
export const expiredToken = (): Attack => {
  let halves: HalfHandshakes;
  return {
    name: `Retry tokens older than ${RETRY_TOKEN_TTL_MS / 1000} s, with the handshakes they were made for`,
    expected: 'dropped as retry_token_invalid; a fresh one from the same socket is let in',
    isLong: true,
    async prepare(lab) {
      halves = await HalfHandshakes.open(lab.port, [lab.source()], readCredentials(lab.lab, 'mallory'), relayDnsName('relay-1', TRUST_DOMAIN));
      halves.hold = true;
      for (let i = 0; i < OLD_TOKENS; i++) halves.begin(0);
    },
    async run(lab) {
      lab.keep(halves);
      await lab.sinceStart(RETRY_TOKEN_TTL_MS + 1_000);
      const held = halves.held;
      halves.release();
      for await (const _ of lab.rounds(50)) void _;
      const answered = halves.answered;
      halves.begin(0);
      const deadline = performance.now() + 3_000;
      while (halves.answered === answered && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
      return new Findings()
        .equal(held, OLD_TOKENS, 'tokens held')
        .equal(answered, 0, 'old tokens let in')
        .check(halves.answered > answered, 'a fresh token was not let in either')
        .seen(`${answered} of ${held} old ones let in, ${halves.answered - answered} of 1 fresh one`, { 'packet.retry_token_invalid': OLD_TOKENS });
    },
  };
};
