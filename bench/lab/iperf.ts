// One run of iperf3 from the agent's site: a server for one client at the connector's, and what it received.

import type { SocketAddress } from '@ztna/protocol';
import type { LabNetwork } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';

export interface IperfRun {
  /** Path of the program. */
  readonly iperf3: string;
  /** Where the server listens. */
  readonly port: number;
  /** Where the agent's site reaches it. */
  readonly address: SocketAddress;
  readonly seconds: number;
  readonly streams?: number;
  /** From connector to agent. Default false. */
  readonly isDownload?: boolean;
  /** Of all streams together. Default: as much as goes. */
  readonly mbitPerS?: number;
}

/** Beyond its own time: TCP's start, and a queue to drain. */
const PATIENCE_MS = 20_000;

/** @returns Mbit/s that arrived. Rejects with iperf3's own words. */
export const runIperf = async ({ network, teardown }: { readonly network: LabNetwork; readonly teardown: Teardown }, run: IperfRun): Promise<number> => {
  const { iperf3, port, address, seconds, streams = 1, isDownload = false, mbitPerS } = run;
  const bind = network.kind === 'namespaces' ? [] : ['--bind', '127.0.0.1'];
  const own = teardown.child();
  try {
    const server = own.keep(() => new Program(network.connector, iperf3, ['-s', '-1', '-p', String(port), '--forceflush', ...bind]));
    await server.line(/Server listening/);
    const rate = mbitPerS === undefined ? [] : ['-b', `${mbitPerS / streams}M`];
    const args = ['-c', address.host, '-p', String(address.port), '-t', String(Math.max(1, Math.ceil(seconds))), '-P', String(streams), '-J', ...(isDownload ? ['-R'] : []), ...rate];
    const client = own.keep(() => new Program(network.agent, iperf3, args, { keptLines: Infinity }));
    await client.until(() => client.hasEnded, 'its end', seconds * 1000 + PATIENCE_MS);
    return parseIperf(client.log);
  } finally {
    await own.end();
  }
};

/** @throws Error with what iperf3 says of itself */
export const parseIperf = (json: string): number => {
  let report: { readonly error?: string; readonly end?: { readonly sum_received?: { readonly bits_per_second?: number } } };
  try {
    report = JSON.parse(json) as typeof report;
  } catch {
    throw new Error(`iperf3: ${json.slice(0, 500)}`);
  }
  const rate = report.end?.sum_received?.bits_per_second;
  if (report.error !== undefined || rate === undefined) throw new Error(`iperf3: ${report.error ?? 'no sum of what was received'}`);
  return rate / 1_000_000;
};
