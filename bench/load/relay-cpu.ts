// CPU per relayed datagram: a real relay process, and an agent-like and a connector-like client in two
// others. Prints one row per combination of UDP modes. Loopback, so compare rows of one run only.
//
//   node bench/dist/load/relay-cpu.js [--rate 20000] [--seconds 5] [--pairs 1] [--only RELAY/CLIENTS] [--cpu-prof DIRECTORY]

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAuthority, generateRegistrationKey, issueCertificate } from '@ztna/certs';
import { stringify } from 'yaml';
import { processCpu } from './process-cpu.js';

const RELAY = fileURLToPath(new URL('../../../intermediate-server/dist/main.js', import.meta.url));
const CLIENT = fileURLToPath(new URL('load-client.js', import.meta.url));
const WARM_UP_MS = 1500;

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '5' },
    pairs: { type: 'string', default: '1' },
    only: { type: 'string' },
    'cpu-prof': { type: 'string' },
  },
});
const pairs = Number(values.pairs);

interface Child {
  readonly process: ChildProcess;
  /** Fields of the lines so far; later ones win. */
  readonly state: Record<string, unknown>;
}

const start = (args: readonly string[]): Child => {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const state: Record<string, unknown> = {};
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      try {
        Object.assign(state, JSON.parse(line));
      } catch {
        process.stderr.write(`${line}\n`);
      }
    });
  return { process: child, state };
};

const until = async (child: Child, field: string): Promise<unknown> => {
  while (child.state[field] === undefined) {
    if (child.process.exitCode !== null) throw new Error(`a process ended early: ${JSON.stringify(child.state)}`);
    await sleep(20);
  }
  return child.state[field];
};

const stop = async ({ process: child }: Child): Promise<void> => {
  if (child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
};

/** A throw-away PKI with a relay and `pairs` agents and connectors. */
const writeLab = (directory: string): void => {
  const authority = createAuthority({ trustDomain: 'bench.test' });
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text, { mode: 0o600 });
  write('ca.crt', authority.certificatePem);
  const keys: unknown[] = [];
  const issue = (role: 'agent' | 'connector' | 'relay', name: string, services: readonly string[] = []): void => {
    const { certificatePem, keyPem } = issueCertificate(authority, { role, name, services });
    write(`${name}.crt`, certificatePem);
    write(`${name}.key`, keyPem);
    if (role === 'relay') return;
    const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: name, scope: { role, identities: [name], services } });
    write(`${name}.regkey`, keyFileYaml);
    keys.push(keyringEntry);
  };
  issue('relay', 'relay-1');
  issue('connector', 'connector-1', ['load']);
  for (let i = 1; i <= pairs; i++) issue('agent', `agent-${i}`);
  write('keyring.yaml', stringify({ keys }));
  write('policy.yaml', stringify({ rules: [{ allow: Array.from({ length: pairs }, (_, i) => `agent-${i + 1}`), services: ['load'] }] }));
};

const measure = async (relayMode: string, clientMode: string): Promise<object> => {
  const directory = mkdtempSync(join(tmpdir(), 'ztna-bench-'));
  const children: Child[] = [];
  const begin = (args: readonly string[]): Child => {
    const child = start(args);
    children.push(child);
    return child;
  };
  try {
    writeLab(directory);
    const tls = { ca: 'ca.crt', certificate: 'relay-1.crt', key: 'relay-1.key' };
    const config = join(directory, 'relay.yaml');
    writeFileSync(config, stringify({ listen: '127.0.0.1:0', tls, keyring: 'keyring.yaml', policy: 'policy.yaml', udp: relayMode, drainTimeout: '1ms' }));
    const profile = values['cpu-prof'] ? ['--cpu-prof', `--cpu-prof-dir=${values['cpu-prof']}`, `--cpu-prof-name=relay-${relayMode}.cpuprofile`] : [];
    const relay = begin([...profile, RELAY, 'run', '-c', config]);
    const port = String(await until(relay, 'address')).split(':').at(-1)!;
    const connector = begin([CLIENT, 'connector', directory, 'connector-1', port, clientMode, '0']);
    await until(connector, 'ready');
    for (let i = 1; i <= pairs; i++) await until(begin([CLIENT, 'agent', directory, `agent-${i}`, port, clientMode, String(Number(values.rate) / pairs)]), 'ready');
    await sleep(WARM_UP_MS);
    const pid = relay.process.pid!;
    const before = { cpu: processCpu(pid), received: Number(connector.state.received), at: performance.now() };
    await sleep(Number(values.seconds) * 1000);
    const after = { cpu: processCpu(pid), received: Number(connector.state.received), at: performance.now() };
    const datagrams = after.received - before.received;
    const user = (after.cpu.user - before.cpu.user) / datagrams;
    const system = (after.cpu.system - before.cpu.system) / datagrams;
    return {
      relay: relayMode,
      clients: clientMode,
      'datagrams/s': Math.round((datagrams * 1000) / (after.at - before.at)),
      'µs/datagram': Number((user + system).toFixed(2)),
      user: Number(user.toFixed(2)),
      system: Number(system.toFixed(2)),
    };
  } finally {
    await Promise.all(children.reverse().map(stop));
    rmSync(directory, { recursive: true });
  }
};

const rows: object[] = [];
for (const relayMode of ['plain', 'batched'])
  for (const clientMode of ['plain', 'batched'])
    if (!values.only || values.only === `${relayMode}/${clientMode}`) rows.push(await measure(relayMode, clientMode));
console.table(rows);
