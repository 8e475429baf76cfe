// What the relay's process spends on one datagram of 1200 bytes: ours with batched UDP and with plain node:dgram, coturn,
// and as the floor a forwarder that does nothing but receive and send. All run side by side, one at a time is
// offered the load.

import { setTimeout as sleep } from 'node:timers/promises';
import type { UdpMode } from '@ztna/protocol';
import { Overlay } from '../lab/overlay.js';
import type { Program } from '../lab/program.js';
import type { Site } from '../lab/network.js';
import { startCoturn } from '../lab/coturn.js';
import { startEmulator, startLoadClient, startUdpLoad } from '../lab/load-programs.js';
import { LOAD_SERVICE } from '../load/load-settings.js';
import { findResult, type Subject } from '../report/result.js';
import { interleave, ROUNDS, type Bench, type BenchContext } from './bench.js';
import { profileRelay } from './relay-profile.js';

export const PACKET_BYTES = 1200;
const WARM_UP_MS = 700;
const WARM_UPS = 8;
const MIN_PROFILED_SECONDS = 3;
const MAX_WARM_DROPS = 0.02;
/** For what is under way to arrive. */
const SETTLE_MS = 150;

/** A relay between one who sends and one who counts. */
export interface LoadedRelay {
  readonly relay: Program;
  readonly sender: Program;
  readonly receiver: Program;
}

export const benchRelay: Bench = async (context) => {
  const { options, note } = context;
  const subjects: [Subject, LoadedRelay][] = [
    ['ztna', await startOurs(context, 'auto')],
    ['ztna-plain', await startOurs(context, 'plain')],
    ['floor', await startFloor(context)],
  ];
  const coturn = await startTurn(context);
  if (coturn) subjects.push(['coturn', coturn]);
  note(`relay: ${options.rate} datagrams/s of ${PACKET_BYTES} bytes offered to each, ${options.seconds} s in ${ROUNDS} rounds`);
  for (const [, loaded] of subjects) await warmUp(loaded, options.rate);
  const milliseconds = (options.seconds * 1000) / ROUNDS;
  const params = { offered_per_s: options.rate };
  const results = await interleave('relay', subjects.map(([subject, loaded]) => ({ subject, params, measure: () => offer(loaded, options.rate, milliseconds) })), context);
  const cost = findResult(results, 'relay', 'ztna', 'cpu_us_per_datagram');
  // A short run has other things to show, and too few samples.
  const isWorthIt = options.cpuProf !== undefined || options.seconds >= MIN_PROFILED_SECONDS;
  return cost === undefined || !isWorthIt ? results : [...results, ...(await profileRelay(context, cost))];
};

/** Load until nearly all of it arrives: QUIC finds its rate, and the compiler sees the hot path. Some never get there. */
export const warmUp = async (loaded: LoadedRelay, rate: number): Promise<void> => {
  for (let n = 0; n < WARM_UPS; n++) {
    const seen = await offer(loaded, rate, WARM_UP_MS).catch(() => undefined);
    if (seen && seen.drops! <= seen.datagrams_per_s! * MAX_WARM_DROPS) return;
  }
};

/** Load for a while, and what became of it. */
export const offer = async ({ relay, sender, receiver }: LoadedRelay, rate: number, milliseconds: number): Promise<Record<string, number>> => {
  const before = { sent: await counter(sender, 'sent'), received: await counter(receiver, 'received'), cpu: relay.cpuMicroseconds(), at: performance.now() };
  sender.tell({ rate });
  await sleep(milliseconds);
  sender.tell({ rate: 0 });
  const elapsed = performance.now() - before.at;
  await sleep(SETTLE_MS);
  const received = (await counter(receiver, 'received')) - before.received;
  const sent = (await counter(sender, 'sent')) - before.sent;
  if (received === 0) throw new Error(`none of ${sent} datagrams arrived; sender: ${JSON.stringify(sender.state)}; receiver: ${JSON.stringify(receiver.state)}`);
  return {
    cpu_us_per_datagram: (relay.cpuMicroseconds() - before.cpu) / received,
    datagrams_per_s: (received * 1000) / elapsed,
    drops: sent - received,
  };
};

let questions = 0;
const counter = async (program: Program, field: string): Promise<number> => {
  const question = ++questions;
  program.tell({ report: question });
  await program.until(() => program.state.report === question, `the answer to a question`);
  return program.number(field);
};

export const startOurs = async ({ network, teardown, note }: BenchContext, udp: UdpMode, relayNodeArgs: readonly string[] = []): Promise<LoadedRelay> => {
  const overlay = await Overlay.start({
    network, teardown, udp, agents: ['agent-1'], connectors: { 'connector-1': [LOAD_SERVICE] },
    relayNodeArgs,
  });
  if (udp === 'auto' && relayNodeArgs.length === 0) note(`relay: our UDP sockets are ${overlay.udp}`);
  const client = (site: Site, role: 'agent' | 'connector'): Promise<Program> =>
    // Clients with batched sockets in both cases: only the relay is to differ.
    startLoadClient(site, teardown, { role, directory: overlay.directory, name: `${role}-1`, relay: { host: network.relay.host, port: overlay.relayPort }, udp: 'auto', packetBytes: PACKET_BYTES });
  const receiver = await client(network.connector, 'connector');
  return { relay: overlay.relay, receiver, sender: await client(network.agent, 'agent') };
};

const startFloor = async ({ network, teardown }: BenchContext): Promise<LoadedRelay> => {
  const receiver = await startUdpLoad(network.connector, teardown, { role: 'receive', host: network.connector.host });
  const relay = await startEmulator(network.relay, teardown, {
    listen: { host: network.relay.host, port: 0 }, target: { host: network.connector.host, port: receiver.number('port') }, seed: 1, loss: 0, delayMs: 0,
  });
  const target = { host: network.relay.host, port: relay.number('port') };
  return { relay, receiver, sender: await startUdpLoad(network.agent, teardown, { role: 'send', host: network.agent.host, target, packetBytes: PACKET_BYTES }) };
};

const startTurn = async (context: BenchContext): Promise<LoadedRelay | undefined> => {
  const { network, teardown, note } = context;
  const coturn = await startCoturn(context);
  if (!coturn.ok) return void note(`relay: coturn is left out: ${coturn.reason}`);
  const receiver = await startUdpLoad(network.connector, teardown, { role: 'receive', host: network.connector.host });
  const sender = await startUdpLoad(network.agent, teardown, {
    role: 'turn', host: network.agent.host, server: coturn.address, peer: { host: network.connector.host, port: receiver.number('port') }, packetBytes: PACKET_BYTES,
  });
  return { relay: coturn.program, receiver, sender };
};
