// What a datagram and an idle connection cost at the relay as connections grow in number: the same load over one of
// them, and spread over all, one datagram each in turn. What the crowd costs idle is measured just before and taken off.

import { setTimeout as sleep } from 'node:timers/promises';
import { startLoadClient, startLoadProgram } from '../lab/load-programs.js';
import { Overlay } from '../lab/overlay.js';
import type { Program } from '../lab/program.js';
import type { Teardown } from '../lab/teardown.js';
import type { CrowdSettings } from '../load/crowd.js';
import { LOAD_SERVICE } from '../load/load-settings.js';
import { toResult, interleave, ROUNDS, type Bench, type BenchContext, type Measurement } from './bench.js';
import { NO_SOURCE_LIMITS } from './handshake.js';
import { offer, PACKET_BYTES, warmUp, type LoadedRelay } from './relay.js';

const KIB = 1024;
/** Of what the benchmark relay offers: spread over all, a datagram costs several times as much, for senders too. */
const SHARE_OF_RATE = 0.5;
const MS_PER_CLIENT = 60;
const PLENTY = { perSecond: 1_000_000, burst: 1_000_000 };
/** For a crowd's handshakes to be over with, garbage and all. */
const QUIET_MS = 2000;

interface Crowded {
  readonly connections: number;
  readonly relay: Program;
  readonly kibPerConnection: number;
  readonly onePair: LoadedRelay;
  readonly spread: LoadedRelay;
}

export const benchGrowth: Bench = async (context) => {
  const { options, note } = context;
  const rate = Math.round(options.rate * SHARE_OF_RATE);
  note(`growth: ${rate} datagrams/s offered to relays with ${options.connections.join(', ')} connections, ${ROUNDS} rounds`);
  const crowded: Crowded[] = [];
  for (const connections of options.connections) {
    crowded.push(await startCrowded(context, connections));
    note(`growth: ${connections} connections are there`);
  }
  const milliseconds = (options.seconds * 1000) / ROUNDS;
  for (const { onePair, spread } of crowded) for (const loaded of [onePair, spread]) await warmUp(loaded, rate);
  const measurements = crowded.flatMap(({ connections, onePair, spread }): Measurement[] => [
    { subject: 'ztna', params: { connections, load: 'over one' }, measure: () => offerMarginal(onePair, rate, milliseconds) },
    { subject: 'ztna', params: { connections, load: 'over all' }, measure: () => offerMarginal(spread, rate, milliseconds) },
  ]);
  const memory = crowded.map(({ connections, kibPerConnection }) => toResult('growth', 'ztna', 'kib_per_connection', kibPerConnection, { connections }));
  return [...(await interleave('growth', measurements, context)), ...memory];
};

/** Load, less what the crowd costs without it. */
const offerMarginal = async (loaded: LoadedRelay, rate: number, milliseconds: number): Promise<Record<string, number>> => {
  const { relay } = loaded;
  const before = { cpu: relay.cpuMicroseconds(), at: performance.now() };
  await sleep(milliseconds);
  const idleShare = (relay.cpuMicroseconds() - before.cpu) / ((performance.now() - before.at) * 1000);
  const begun = performance.now();
  const { cpu_us_per_datagram, datagrams_per_s, drops } = await offer(loaded, rate, milliseconds);
  const received = datagrams_per_s! * (milliseconds / 1000);
  const idleCost = (idleShare * (performance.now() - begun) * 1000) / received;
  const marginal = cpu_us_per_datagram! - idleCost;
  if (marginal <= 0) throw new Error('the load costs less than the idle time of the crowd varies: offer more (--rate)');
  return { cpu_us_per_datagram: marginal, drops: drops!, idle_cpu_percent: idleShare * 100 };
};

const startCrowded = async ({ network, teardown, options }: BenchContext, connections: number): Promise<Crowded> => {
  const overlay = await Overlay.start({
    network, teardown, agents: ['agent-1', 'crowd'], connectors: { 'connector-1': [LOAD_SERVICE] },
    relay: {
      limits: {
        ...NO_SOURCE_LIMITS, connections: 1_000_000,
        client: { registrations: PLENTY, opens: PLENTY, controlMessages: PLENTY },
        sessions: { total: 1_000_000, perAgent: 1_000_000, pendingPerAgent: 1_000_000 },
      },
    },
  });
  const { relay, directory } = overlay;
  const address = { host: network.relay.host, port: overlay.relayPort };
  const client = { directory, relay: address, udp: 'auto', packetBytes: PACKET_BYTES } as const;
  const receiver = await startLoadClient(network.connector, teardown, { ...client, role: 'connector', name: 'connector-1' });
  const sender = await startLoadClient(network.agent, teardown, { ...client, role: 'agent', name: 'agent-1' });
  const onePair = { relay, sender, receiver };
  // Compiled code and grown heaps are not the crowd's.
  await warmUp(onePair, options.rate);
  const before = relay.memoryBytes();
  const crowd = await startCrowd(network.agent, teardown, { directory, name: 'crowd', relay: address, count: connections, host: network.agent.host, service: LOAD_SERVICE, packetBytes: PACKET_BYTES });
  await sleep(QUIET_MS);
  return { connections, relay, kibPerConnection: (relay.memoryBytes() - before) / KIB / connections, onePair, spread: { relay, sender: crowd, receiver } };
};

const startCrowd = (site: BenchContext['network']['agent'], teardown: Teardown, settings: CrowdSettings): Promise<Program> =>
  startLoadProgram(site, teardown, 'crowd', settings, 30_000 + settings.count * MS_PER_CLIENT);
