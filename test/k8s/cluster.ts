// Everything that an overlay deploys, running on loopback: relay, stand-alone connector with a backend, the sample app with its
// connector, and an agent outside. One place for what differs from a cluster: addresses.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { stringify } from 'yaml';
import { ROOT } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { unusedPort } from '../harness/tcp.js';
import { startWebBackend } from '../harness/web-backend.js';
import type { KubernetesObject } from './kubernetes-object.js';
import type { Operator } from './operator.js';
import { Pod } from './pod.js';

export interface RunningPod {
  readonly pod: Pod;
  readonly process: ManagedProcess;
  readonly healthPort: number;
}

export interface Cluster {
  readonly relay: RunningPod;
  readonly connector: RunningPod;
  /** The connector beside the sample app. */
  readonly sidecar: RunningPod;
  readonly agent: ManagedProcess;
  /** Port of the agent's listener for a service. */
  readonly port: (service: 'web' | 'sample') => number;
}

/** Resolves once connectors and agent are registered. */
export const startCluster = async (t: Test, objects: readonly KubernetesObject[], operator: Operator): Promise<Cluster> => {
  // Outside of the checkout, which another user need not be able to enter.
  const directory = mkdtempSync(join(tmpdir(), 'ztna-k8s-'));
  chmodSync(directory, 0o755);
  const processes: ManagedProcess[] = [];
  const keep = (process: ManagedProcess): void => void processes.push(process);
  t.teardown(async () => {
    // Clients first, so that the relay has nothing to drain.
    for (const process of processes.reverse()) await process.stop();
    rmSync(directory, { recursive: true });
  });

  const run = async (namespace: string, name: string, containers: readonly string[], addresses: readonly (readonly [string, string])[]): Promise<RunningPod> => {
    const healthPort = await unusedPort();
    const pod = new Pod({ objects, namespace, name, directory, healthPort, addresses: [['0.0.0.0:9090', `127.0.0.1:${healthPort}`], ...addresses] });
    const started = containers.map((container) => pod.start(container, keep));
    pod.checkAddresses();
    return { pod, process: started.at(-1)!, healthPort };
  };

  const relay = await run('ztna', 'intermediate-server', ['intermediate-server'], [['0.0.0.0:4433', '127.0.0.1:0']]);
  const { address } = await relay.process.waitFor('listening');
  const dial = ['intermediate-server.ztna.svc.cluster.local:4433', String(address)] as const;
  const backend = await startWebBackend(t);
  const connector = await run('ztna', 'app-connector', ['app-connector'], [dial, ['web.default.svc.cluster.local:8080', backend.address]]);
  const sidecar = await run('sample-app', 'sample-app', ['sample-app', 'app-connector'], [dial, ['127.0.0.1:8080', `127.0.0.1:${await unusedPort()}`]]);

  const agent = startAgent(operator, String(address), keep);
  for (const client of [connector.process, sidecar.process, agent]) await client.waitFor('registered');
  const port = (service: string): number => {
    const listening = agent.events.find((event) => event.event === 'listening' && event.service === service);
    return Number(String(listening?.address).replace(/^.*:/, ''));
  };
  return { relay, connector, sidecar, agent, port };
};

const startAgent = (operator: Operator, relay: string, keep: (process: ManagedProcess) => void): ManagedProcess => {
  const path = operator.path('agent.yaml');
  const config = {
    relays: [{ address: relay, name: 'relay-1' }],
    tls: { ca: 'ca.crt', certificate: 'alice.crt', key: 'alice.key' },
    registration: { key: 'alice.regkey' },
    listeners: ['web', 'sample'].map((service) => ({ service, listen: '127.0.0.1:0' })),
  };
  writeFileSync(path, stringify(config));
  const agent = new ManagedProcess(process.execPath, [join(ROOT, 'agent', 'dist', 'main.js'), 'up', '-c', path]);
  keep(agent);
  return agent;
};
