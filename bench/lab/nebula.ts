// Nebula in the lab: a lighthouse that is also the relay, and two hosts that can only reach each other through it. Its
// own defaults otherwise (AES-256-GCM, MTU 1300, one routine).

import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SocketAddress } from '@ztna/protocol';
import { stringify } from 'yaml';
import type { LabNetwork, SiteName } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';
import { findTools } from './tools.js';

/** Inside the namespaces alone. */
const HOSTS: Readonly<Record<SiteName, string>> = { relay: '10.88.0.1', agent: '10.88.0.2', connector: '10.88.0.3' };
const PORT = 4242;

export interface NebulaInit {
  readonly network: LabNetwork;
  readonly teardown: Teardown;
  /** Where the agent finds the relay; default: where it is. */
  readonly relayForAgent?: SocketAddress;
}

/** `host` of the connector as the agent sees it. */
export type StartedNebula = { readonly ok: true; readonly host: string } | { readonly ok: false; readonly reason: string };

/** The relay's own address under Nebula, for what stands in between. */
export const nebulaRelay = (network: LabNetwork): SocketAddress => ({ host: network.relay.host, port: PORT });

/** Whether its relay is used shows when traffic passes: the namespaces leave no other way. */
export const startNebula = ({ network, teardown, relayForAgent = nebulaRelay(network) }: NebulaInit): StartedNebula => {
  if (network.kind !== 'namespaces') return { ok: false, reason: 'it needs network namespaces: on loopback it would go direct' };
  if (!existsSync('/dev/net/tun')) return { ok: false, reason: 'there is no /dev/net/tun' };
  const tools = findTools('nebula', 'nebula-cert');
  if (!tools.ok) return tools;
  const directory = teardown.directory();
  const cert = (...args: string[]): void => {
    const { status, stderr } = spawnSync(tools.path['nebula-cert'], args, { cwd: directory, encoding: 'utf8' });
    if (status !== 0) throw new Error(`nebula-cert ${args.join(' ')}: ${stderr}`);
  };
  cert('ca', '-name', 'bench', '-duration', '24h');
  for (const site of ['relay', 'agent', 'connector'] as const) {
    cert('sign', '-name', site, '-ip', `${HOSTS[site]}/24`);
    const isRelay = site === 'relay';
    const relay = site === 'agent' ? relayForAgent : nebulaRelay(network);
    const config = {
      pki: { ca: 'ca.crt', cert: `${site}.crt`, key: `${site}.key` },
      static_host_map: isRelay ? {} : { [HOSTS.relay]: [`${relay.host}:${relay.port}`] },
      lighthouse: { am_lighthouse: isRelay, interval: 5, hosts: isRelay ? [] : [HOSTS.relay] },
      relay: isRelay ? { am_relay: true, use_relays: false } : { relays: [HOSTS.relay], am_relay: false, use_relays: true },
      listen: { host: network[site].host, port: isRelay ? PORT : 0 },
      punchy: { punch: true },
      tun: { dev: 'nebula' },
      logging: { level: 'warning', format: 'json' },
      firewall: { outbound: [{ port: 'any', proto: 'any', host: 'any' }], inbound: [{ port: 'any', proto: 'any', host: 'any' }] },
    };
    const path = join(directory, `${site}.yml`);
    writeFileSync(path, stringify(config));
    teardown.keep(() => new Program(network[site], tools.path.nebula, ['-config', path], { cwd: directory }));
  }
  return { ok: true, host: HOSTS.connector };
};
