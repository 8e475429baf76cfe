// The control stream, from clients with good certificates: bombs, floods, and those who write or read too slowly.

import { randomBytes } from 'node:crypto';
import { encodeCborMap, encodeControl, frameControl, MAX_CONTROL_BYTES, type FailureCode } from '@ztna/protocol';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, tally, type Attack } from '../attack.js';
import type { HostileClient } from '../../harness/hostile-client.js';
import { goodToken } from '../../harness/intruder.js';

/** docs/limits.md: control messages a second, in a burst. */
const CONTROL_RATE = 100;
const CONTROL_BURST = 200;

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
/** A lawful ping, but for one more key: only what is wrong with that can make it refused, as unknown keys are ignored. */
const pingWith = (entries: number, more: Uint8Array): Uint8Array => frameControl(Buffer.concat([hex('a' + (2 + entries).toString(16) + '6474797065' + '6470696e67' + '6974696d657374616d70' + '01'), more]));
/** "x" and what it is. */
const x = (...value: readonly Uint8Array[]): Buffer => Buffer.concat([hex('6178'), ...value]);
const announce = (length: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(length);
  return bytes;
};

const malformed = (bytes: Uint8Array): { bytes: Uint8Array; code: FailureCode } => ({ bytes, code: 'control_message_malformed' });
const tooLarge = (bytes: Uint8Array): { bytes: Uint8Array; code: FailureCode } => ({ bytes, code: 'control_message_too_large' });

const BOMBS: Readonly<Record<string, { bytes: Uint8Array; code: FailureCode }>> = {
  'arrays nested 60 000 deep': malformed(pingWith(1, x(Buffer.alloc(60_000, 0x81), hex('00')))),
  'arrays nested 9 deep': malformed(pingWith(1, x(Buffer.alloc(9, 0x81), hex('00')))),
  'maps nested 10 000 deep': malformed(pingWith(1, x(...Array.from({ length: 10_000 }, () => hex('a16161')), hex('00')))),
  'indefinite lengths nested': malformed(frameControl(Buffer.alloc(60_000, 0x9f))),
  'an array of 2^32 - 1': malformed(pingWith(1, x(hex('9affffffff')))),
  'a map of 2^64 - 1': malformed(pingWith(1, x(hex('bbffffffffffffffff')))),
  'a text of 2^63 bytes': malformed(pingWith(1, x(hex('7b8000000000000000')))),
  'an array of 5000': malformed(pingWith(1, x(hex('991388'), Buffer.alloc(5_000)))),
  'a bignum': malformed(pingWith(1, x(hex('c24101')))),
  'a record tag': malformed(pingWith(1, x(hex('d9dff8820001')))),
  'duplicate keys': malformed(pingWith(1, Buffer.concat([hex('6974696d657374616d70'), hex('02')]))),
  'a thousand keys': malformed(pingWith(1, x(hex('b903e8'), ...Array.from({ length: 1000 }, (_, i) => Buffer.concat([hex('63'), Buffer.from(String(i).padStart(3, '0')), hex('00')]))))),
  'a key __proto__': malformed(pingWith(1, Buffer.concat([hex('695f5f70726f746f5f5f'), hex('a0')]))),
  'a frame of 4 GiB announced': tooLarge(announce(0xffff_ffff)),
  'a frame one byte too large': tooLarge(announce(MAX_CONTROL_BYTES + 1)),
  'an empty frame': malformed(frameControl(new Uint8Array(0))),
};

export const cborBombs: Attack = {
  name: 'CBOR bombs: deep nesting, huge lengths, duplicate keys, tags, __proto__',
  expected: `each of ${Object.keys(BOMBS).length} answered and closed with its code`,
  async run(lab) {
    const findings = new Findings();
    const codes: string[] = [];
    const hello = encodeControl({ type: 'hello', versions: [1], software: 'hostile', role: 'agent' });
    const lawful = await lab.dial('mallory');
    lawful.sendRaw(hello).sendRaw(pingWith(1, x(hex('8100'))));
    await lawful.take('pong');
    for (const [what, { bytes, code }] of Object.entries(BOMBS)) {
      const client = await lab.dial('mallory');
      client.sendRaw(hello).sendRaw(bytes);
      const end = await Promise.race([client.ended, lab.patience()]);
      codes.push(end?.code ?? 'stands');
      findings.equal(end?.code, code, what);
    }
    return findings.seen(tally(codes));
  },
};

export const unknownTypes: Attack = {
  name: 'unknown message types, as fast as the stream takes them',
  expected: `answered with unknown_message_type at ${CONTROL_RATE}/s, burst ${CONTROL_BURST}; the rest waits unread at the sender`,
  run: (lab) => controlFlood(lab, frameControl(encodeCborMap({ type: 'teleport', where: 'web' })), 'error'),
};

export const pingFlood: Attack = {
  name: 'control messages without end (ping)',
  expected: `answered at ${CONTROL_RATE}/s, burst ${CONTROL_BURST}; the rest waits unread at the sender`,
  run: (lab) => controlFlood(lab, encodeControl({ type: 'ping', timestamp: 1 }), 'pong'),
};

/** 300 messages a round, more than anyone answers; only what is answered counts. */
const controlFlood = async (lab: AbuseLab, message: Uint8Array, answer: 'error' | 'pong'): ReturnType<Attack['run']> => {
  const client = await lab.join('agent', 'mallory');
  const many = Buffer.concat(Array.from({ length: 300 }, () => message));
  const start = performance.now();
  let sent = 0;
  for await (const _ of lab.rounds(5)) {
    if (client.hasEnded) break;
    client.sendRaw(many);
    sent += 300;
  }
  const seconds = (performance.now() - start) / 1000;
  const answers = client.messages.filter(({ type }) => type === answer).length;
  const allowed = Math.ceil(CONTROL_BURST + CONTROL_RATE * seconds * 1.2) + 2;
  const end = client.hasEnded ? (await client.ended).code : undefined;
  return new Findings()
    .check(answers > 0 && answers <= allowed, `${answers} answers, at most ${allowed} were due`)
    .check(end === undefined || end === 'rate_limited' || end === 'slow_reader', `closed with ${end ?? ''}`)
    .seen(`${sent} sent, ${answers} answered in ${seconds.toFixed(1)} s; ${end ? `closed with ${end}` : 'connection stands'}`);
};

const LORIS_CONNECTIONS = 24;
/** docs/limits.md `helloTimeoutMs`, and some for a loaded machine. */
const HELLO_TIMEOUT_MS = 12_000;

/** Starts with the lab: what they wait for takes ten seconds. */
export const slowLoris = (): Attack => {
  const clients: HostileClient[] = [];
  let timer: NodeJS.Timeout | undefined;
  return {
    name: `control slow-loris: ${LORIS_CONNECTIONS} connections that send hello one byte a second`,
    expected: 'closed with handshake_timeout after 10 s, however busy they look',
    async prepare(lab) {
      const hello = encodeControl({ type: 'hello', versions: [1], software: 'x'.repeat(200), role: 'agent' });
      for (let i = 0; i < LORIS_CONNECTIONS; i++) clients.push(await lab.dialEarly('mallory'));
      let at = 0;
      timer = setInterval(() => {
        for (const client of clients) if (!client.hasEnded && at < hello.length) client.sendRaw(hello.subarray(at, at + 1));
        at++;
      }, 1_000).unref();
    },
    async run(lab) {
      await lab.sinceStart(HELLO_TIMEOUT_MS);
      clearInterval(timer);
      const ends = await Promise.all(clients.map(async (client) => (client.hasEnded ? (await client.ended).code : 'stands')));
      for await (const _ of lab.rounds(50)) void _;
      for (const client of clients) lab.keep(client);
      return new Findings().check(ends.every((code) => code === 'handshake_timeout'), tally(ends)).seen(tally(ends));
    },
  };
};

/** Partial frames held by many: what the relay buffers of each is bounded by the frame's limit. */
export const partialFrames: Attack = {
  name: 'frames of 64 KiB that stop one byte short, on 40 connections',
  expected: 'held, at most 64 KiB and a stream window each; nobody else waits',
  growthMiB: 24,
  async run(lab) {
    const hello = encodeControl({ type: 'hello', versions: [1], software: 'hostile', role: 'agent' });
    const clients: HostileClient[] = [];
    for (let i = 0; i < 40; i++) {
      const client = await lab.dial('mallory');
      client.sendRaw(hello).sendRaw(announce(MAX_CONTROL_BYTES)).sendRaw(Buffer.alloc(MAX_CONTROL_BYTES - 1, 0x81));
      clients.push(client);
    }
    for await (const _ of lab.rounds(50)) void _;
    return new Findings().check(clients.every((client) => !client.hasEnded), 'closed').seen(`${clients.length} hold ${(clients.length * MAX_CONTROL_BYTES) / 1024 / 1024} MiB`);
  },
};

/** Announces a small window, asks for large answers, reads none. Starts with the lab: the rate limit makes it slow. */
export const neverReads = (): Attack => {
  let client: HostileClient;
  let timer: NodeJS.Timeout | undefined;
  return {
    name: 'a peer that never reads its control stream',
    expected: 'closed with slow_reader once 256 KiB wait for it',
    async prepare(lab) {
      client = await lab.dialEarly('mallory', { deaf: true, profile: { streamWindow: 4096, connectionWindow: 4096 } });
      client.hello('agent').register(goodToken(lab.lab, 'agent', 'mallory'));
      const service = 'x'.repeat(250);
      // 9 errors of about 300 bytes each 100 ms stay below the limit of 100 messages a second.
      const message = frameControl(encodeCborMap({ type: service.slice(0, 200), service }));
      timer = setInterval(() => {
        if (!client.hasEnded) for (let i = 0; i < 9; i++) client.sendRaw(message);
      }, 100).unref();
    },
    async run(lab) {
      for await (const _ of lab.rounds(50)) void _;
      const end = await Promise.race([client.ended, lab.sinceStart(40_000).then(() => undefined)]);
      clearInterval(timer);
      lab.keep(client);
      return new Findings().equal(end?.code, 'slow_reader', 'end').seen(end ? `closed by ${end.by} with ${end.code}` : 'connection stands');
    },
  };
};

export const endedStreams: Attack = {
  name: 'half-closed, cut off and reset control streams',
  expected: 'protocol_error, or control_message_malformed inside a message; nothing is left behind',
  async run(lab) {
    const findings = new Findings();
    const hello = encodeControl({ type: 'hello', versions: [1], software: 'hostile', role: 'agent' });
    const ways: Readonly<Record<string, { act: (client: HostileClient) => void; code: FailureCode }>> = {
      'a FIN between messages': { act: (client) => client.sendRaw(hello).finish(), code: 'protocol_error' },
      'a FIN inside a message': { act: (client) => client.sendRaw(hello).sendRaw(hello.subarray(0, -1)).finish(), code: 'control_message_malformed' },
      'a FIN before any': { act: (client) => client.finish(), code: 'protocol_error' },
      'RESET_STREAM': { act: (client) => (client.hello('agent'), client.connection.quic.resetStream(0, 7), client.connection.markDirty()), code: 'protocol_error' },
      'STOP_SENDING': { act: (client) => (client.hello('agent'), client.connection.quic.stopStream(0, 7), client.connection.markDirty()), code: 'protocol_error' },
      'random bytes first': { act: (client) => client.sendRaw(frameControl(randomBytes(64))), code: 'control_message_malformed' },
    };
    const codes: string[] = [];
    for (const [what, { act, code }] of Object.entries(ways)) {
      const client = await lab.dial('mallory');
      act(client);
      const end = await Promise.race([client.ended, lab.patience()]);
      codes.push(end?.code ?? 'stands');
      findings.equal(end?.code, code, what);
    }
    return findings.seen(tally(codes));
  },
};
