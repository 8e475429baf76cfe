// Two agents share one connector behind a slow link: one floods it, the other asks small questions at a steady
// pace. Owns the set-up and the measurement; what is good enough is the test's, the table is the bench's
// (bench/fairness). The relay runs in this process, its socket's way to the connector shaped.

import { performance } from 'node:perf_hooks';
import { DATAGRAM_QUEUE_FULL, DATAGRAM_QUEUED, HEADER_BYTES, readSlot, type EndpointConnection, type SessionHandle } from '@ztna/protocol';
import { ShapedSocket } from '@ztna/protocol/testing';
import type { RelayServer } from '@ztna/intermediate-server';
import type { Test } from 'tap';
import type { HostileClient } from '../harness/hostile-client.js';
import { joinAs, openPair } from '../harness/intruder.js';
import { Lab } from '../harness/lab.js';
import { startRelayHere } from '../harness/relay-here.js';

/** 20 Mbit/s: 1900 full packets a second. */
const LINK = { bytesPerSecond: 2_500_000, buffer: 512 };
/** Four times what the link carries. */
const FLOOD_PER_MS = 8;
const FLOOD_PAYLOAD = Buffer.alloc(1280, 0xf1);
const QUESTION_BYTES = 200;
const QUESTION_INTERVAL_MS = 5;
/** An answer that takes longer has not come. */
const PATIENCE_MS = 5_000;

export interface Neighbour {
  readonly asked: number;
  readonly answered: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface SharedConnector {
  readonly server: RelayServer;
  readonly socket: ShapedSocket;
  /** Flood datagrams that reached the connector. */
  readonly floodDelivered: () => number;
  /** The neighbour's questions for that long, all answers awaited. */
  measure(milliseconds: number): Promise<Neighbour>;
  /** @param sessions of the flooding agent, in turn */
  flood(sessions: number): Promise<{ stop(): void }>;
}

export const startSharedConnector = async (t: Test): Promise<SharedConnector> => {
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['ssh']);
  for (const name of ['alice', 'mallory']) lab.enrol('agent', name);
  let socket!: ShapedSocket;
  const { server, port } = await startRelayHere(t, lab, {
    policy: [{ allow: ['alice', 'mallory'], services: ['ssh'] }],
    wrapSocket: (inner) => (socket = new ShapedSocket(inner, LINK)),
  });
  const clients: HostileClient[] = [];
  t.teardown(() => Promise.all(clients.map((client) => client.close())));

  let flooded = 0;
  let answer: (datagram: Buffer) => void = () => undefined;
  const connector = await joinAs(lab, 'connector', 'connector-1', ['ssh'], {
    port,
    onDatagram: (payload, length) => {
      if (payload[HEADER_BYTES] === FLOOD_PAYLOAD[0]) flooded++;
      else answer(payload.subarray(0, length));
    },
  });
  let hear: (question: number) => void = () => undefined;
  const alice = await joinAs(lab, 'agent', 'alice', [], { port, onDatagram: (payload) => hear(payload.readUInt32BE(HEADER_BYTES + 4)) });
  const mallory = await joinAs(lab, 'agent', 'mallory', [], { port });
  clients.push(alice, mallory, connector);
  const { agentEnd, connectorEnd } = await openPair(alice, connector);
  answer = (question) => {
    if (readSlot(question) === connectorEnd.slot) connector.sendSessionDatagram(connectorEnd, question.subarray(HEADER_BYTES));
  };
  socket.shape(connector.localPort);

  const measure = async (milliseconds: number): Promise<Neighbour> => {
    const askedAt: number[] = [];
    const times: number[] = [];
    let heard: () => void = () => undefined;
    hear = (question) => {
      times.push(performance.now() - askedAt[question]!);
      heard();
    };
    const until = performance.now() + milliseconds;
    const ask = (): void => {
      const question = Buffer.alloc(QUESTION_BYTES);
      question.writeUInt32BE(askedAt.length, 4);
      askedAt.push(performance.now());
      alice.sendSessionDatagram(agentEnd, question);
    };
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        ask();
        if (performance.now() < until) return;
        clearInterval(timer);
        resolve();
      }, QUESTION_INTERVAL_MS);
    });
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      heard = () => {
        if (times.length < askedAt.length) return;
        clearTimeout(timer);
        resolve();
      };
      heard();
    });
    const sorted = [...times].sort((a, b) => a - b);
    const percentile = (part: number): number => Number((sorted[Math.ceil(sorted.length * part) - 1] ?? Infinity).toFixed(1));
    return { asked: askedAt.length, answered: times.length, p50: percentile(0.5), p99: percentile(0.99) };
  };

  const flood = async (sessions: number): Promise<{ stop(): void }> => {
    const ends: SessionHandle[] = [];
    for (let n = 0; n < sessions; n++) ends.push((await openPair(mallory, connector)).agentEnd);
    let next = 0;
    const timer = setInterval(() => {
      for (let n = 0; n < FLOOD_PER_MS; n++) mallory.sendSessionDatagram(ends[next++ % sessions]!, FLOOD_PAYLOAD);
    }, 1);
    return { stop: () => clearInterval(timer) };
  };
  return { server, socket, floodDelivered: () => flooded, measure, flood };
};

/** What the relay did before it had queues of its own, for comparison: everything into QUIC's, first in, first out. */
export const useFifo = ({ server }: SharedConnector): void => {
  const { counters } = server.machine;
  const forward = (_sender: number, target: number, datagram: Uint8Array): void => {
    const connection: EndpointConnection | undefined = server.connectionOf(target);
    const outcome = connection?.sendDatagram(datagram);
    if (outcome === DATAGRAM_QUEUED) counters.countForwarded();
    else counters.countDropped(outcome === DATAGRAM_QUEUE_FULL ? 'peer_queue_full' : 'peer_gone');
  };
  Object.assign(server.forwarder, { forward, handleFlushed: () => undefined });
};
