// Ways from the agent's site to programs at the connector's, through a relay: ours, Nebula's, ssh's. Each is only
// handed out once an echo has answered through it.

import type { SocketAddress } from '@ztna/protocol';
import type { Subject } from '../report/result.js';
import { EchoClient } from './echo-client.js';
import { startLoadProgram } from './load-programs.js';
import { nebulaRelay, startNebula } from './nebula.js';
import type { LabNetwork } from './network.js';
import { Overlay } from './overlay.js';
import { startSshForward } from './ssh-forward.js';
import type { Teardown } from './teardown.js';
import { freePort } from './tools.js';

export interface Tunnel {
  readonly subject: Subject;
  readonly echo: SocketAddress;
  /** Leads to the port `iperfPort` of the connector's site. */
  readonly iperf: SocketAddress;
}

export interface Tunnels {
  readonly list: readonly Tunnel[];
  readonly client: EchoClient;
  /** Where iperf3 has to listen. */
  readonly iperfPort: number;
}

export interface TunnelsInit {
  readonly network: LabNetwork;
  readonly teardown: Teardown;
  readonly note: (line: string) => void;
  /** Where the agent finds our relay and Nebula's, given where they are. Default: there. */
  readonly between?: (relay: SocketAddress) => Promise<SocketAddress>;
  /** Default: ours, Nebula and ssh. */
  readonly subjects?: readonly Subject[];
}

const LOCAL = '127.0.0.1';

export const openTunnels = async (init: TunnelsInit): Promise<Tunnels> => {
  const { network, teardown, note, subjects = ['ztna', 'nebula', 'ssh'] } = init;
  // Nebula's hosts have an address of their own.
  const everywhere = network.kind === 'namespaces' ? '0.0.0.0' : LOCAL;
  const echoPort = (await startLoadProgram(network.connector, teardown, 'echo-server', { host: everywhere })).number('port');
  const iperfPort = await freePort();
  const client = await EchoClient.start(network, teardown);
  const list: Tunnel[] = [];
  for (const subject of subjects) {
    const open = OPENERS[subject];
    if (!open) continue;
    const opened = await open(init, echoPort, iperfPort);
    if ('reason' in opened) {
      note(`${subject} is left out: ${opened.reason}`);
      continue;
    }
    try {
      await client.reach(opened.echo);
      list.push({ subject, ...opened });
    } catch (error) {
      note(`${subject} is left out: nothing answers through it: ${(error as Error).message}`);
    }
  }
  return { list, client, iperfPort };
};

type Opener = (init: TunnelsInit, echoPort: number, iperfPort: number) => Promise<Omit<Tunnel, 'subject'> | { readonly reason: string }>;

const openOurs: Opener = async ({ network, teardown, between }, echoPort, iperfPort) => {
  const overlay = await Overlay.start({ network, teardown, agents: ['agent-1'], connectors: { 'connector-1': ['echo', 'iperf'] } });
  await overlay.startConnector('connector-1', { echo: `${LOCAL}:${echoPort}`, iperf: `${LOCAL}:${iperfPort}` });
  const relay = { host: network.relay.host, port: overlay.relayPort };
  const { ports } = await overlay.startAgent('agent-1', ['echo', 'iperf'], between ? overlay.client('agent-1', await between(relay)) : {});
  return { echo: { host: LOCAL, port: ports.get('echo')! }, iperf: { host: LOCAL, port: ports.get('iperf')! } };
};

const openNebula: Opener = async ({ network, teardown, between }, echoPort, iperfPort) => {
  const relayForAgent = between && network.kind === 'namespaces' ? { relayForAgent: await between(nebulaRelay(network)) } : {};
  const nebula = startNebula({ network, teardown, ...relayForAgent });
  return nebula.ok ? { echo: { host: nebula.host, port: echoPort }, iperf: { host: nebula.host, port: iperfPort } } : nebula;
};

const openSsh: Opener = async (init, echoPort, iperfPort) => {
  if (init.between) return { reason: 'its TCP does not pass a link for UDP' };
  const ssh = await startSshForward(init, [echoPort, iperfPort]);
  return ssh.ok ? { echo: { host: LOCAL, port: ssh.local.get(echoPort)! }, iperf: { host: LOCAL, port: ssh.local.get(iperfPort)! } } : ssh;
};

const OPENERS: Partial<Readonly<Record<Subject, Opener>>> = { ztna: openOurs, nebula: openNebula, ssh: openSsh };
