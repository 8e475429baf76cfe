// Where a benchmark's programs run: three network namespaces joined by veth pairs, or plain loopback.
//
//   agent 198.18.1.2 ═════ veth, MTU 1500 ═════ relay 198.18.0.1 ═════ veth, MTU 1500 ═════ connector 198.18.2.2
//
// Agent and connector have a route to the relay's address and none to each other; the relay's kernel forwards
// nothing. The addresses are those for benchmarks (RFC 2544) and exist in the namespaces alone.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { findTool } from './tools.js';

export type SiteName = 'agent' | 'relay' | 'connector';

/** One of the three places. */
export interface Site {
  readonly name: SiteName;
  readonly host: string;
  /** The words that run a command there. */
  command(command: string, args: readonly string[]): readonly string[];
}

export interface LabNetwork extends Readonly<Record<SiteName, Site>> {
  readonly kind: 'namespaces' | 'loopback';
  /** Why it is this kind, for people. */
  readonly reason: string;
  close(): void;
}

const RELAY_HOST = '198.18.0.1';
const LEAVES = [
  { name: 'agent', host: '198.18.1.2', gateway: '198.18.1.1' },
  { name: 'connector', host: '198.18.2.2', gateway: '198.18.2.1' },
] as const;
const PREFIX = 'ztna-bench-';
const NAMESPACE = /^ztna-bench-(\d+)-/;
const NAMESPACE_DIRECTORY = '/run/netns';

/** Namespaces where this process may make them, loopback otherwise or on request. */
export const openNetwork = (wanted: 'auto' | 'loopback' = 'auto'): LabNetwork => {
  if (wanted === 'loopback') return loopback('asked for');
  if (process.platform !== 'linux') return loopback('network namespaces are Linux’s');
  if (process.getuid?.() !== 0) return loopback('network namespaces need root');
  const ip = findTool('ip');
  if (!ip) return loopback('network namespaces need ip (Debian package iproute2)');
  try {
    return namespaces(ip);
  } catch (error) {
    return loopback((error as Error).message);
  }
};

const loopback = (reason: string): LabNetwork => {
  const site = (name: SiteName): Site => ({ name, host: '127.0.0.1', command: (command, args) => [command, ...args] });
  return { kind: 'loopback', reason, agent: site('agent'), relay: site('relay'), connector: site('connector'), close: () => undefined };
};

const namespaces = (ip: string): LabNetwork => {
  removeStale(ip);
  const nameOf = (site: SiteName): string => `${PREFIX}${process.pid}-${site}`;
  const made: string[] = [];
  const close = (): void => {
    process.off('exit', close);
    for (const name of made.splice(0)) spawnSync(ip, ['netns', 'delete', name]);
  };
  // Also on the way out after an exception: a namespace outlives who made it.
  process.once('exit', close);
  try {
    for (const site of ['relay', 'agent', 'connector'] as const) {
      run(ip, 'netns', 'add', nameOf(site));
      made.push(nameOf(site));
      run(ip, '-n', nameOf(site), 'link', 'set', 'lo', 'up');
    }
    run(ip, '-n', nameOf('relay'), 'address', 'add', `${RELAY_HOST}/32`, 'dev', 'lo');
    for (const { name, host, gateway } of LEAVES) {
      run(ip, '-n', nameOf('relay'), 'link', 'add', name, 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'relay', 'mtu', '1500', 'netns', nameOf(name));
      run(ip, '-n', nameOf('relay'), 'address', 'add', `${gateway}/24`, 'dev', name);
      run(ip, '-n', nameOf('relay'), 'link', 'set', name, 'up');
      run(ip, '-n', nameOf(name), 'address', 'add', `${host}/24`, 'dev', 'relay');
      run(ip, '-n', nameOf(name), 'link', 'set', 'relay', 'up');
      run(ip, '-n', nameOf(name), 'route', 'add', RELAY_HOST, 'via', gateway);
    }
  } catch (error) {
    close();
    throw error;
  }
  const site = (name: SiteName, host: string): Site => ({ name, host, command: (command, args) => [ip, 'netns', 'exec', nameOf(name), command, ...args] });
  const [agent, connector] = LEAVES.map(({ name, host }) => site(name, host)) as [Site, Site];
  return { kind: 'namespaces', reason: 'three, joined by veth pairs of MTU 1500, no route between agent and connector', agent, connector, relay: site('relay', RELAY_HOST), close };
};

/** Those of a benchmark that was killed. */
const removeStale = (ip: string): void => {
  if (!existsSync(NAMESPACE_DIRECTORY)) return;
  for (const name of readdirSync(NAMESPACE_DIRECTORY)) {
    const pid = NAMESPACE.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) spawnSync(ip, ['netns', 'delete', name]);
  }
};

const run = (command: string, ...args: string[]): void => {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')}: ${error?.message ?? stderr.trim()}`);
};
