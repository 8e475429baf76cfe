// What a second worker brings. On a machine of few processors the clients that make the load would take what the second
// worker is to have, so every worker is held to the same small share of a processor (control group, needs root): the
// clients have the rest, and what a relay forwards is bounded by its workers alone. Each agent offers more than a worker can
// forward with its share. Loopback: compare rows of one run only.
//
//   node bench/dist-test/workers/main.js [--workers 1,2] [--share 0.1] [--rate 20000] [--seconds 5]

import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createAuthority, generateRegistrationKey, issueCertificate } from '@ztna/certs';
import { stringify } from 'yaml';
import { cpuMicroseconds } from '@ztna/protocol/testing';
import { limitCpu } from './cpu-share.js';

const RELAY = fileURLToPath(new URL('../../../intermediate-server/dist/main.js', import.meta.url));
const CLIENT = fileURLToPath(new URL('client.js', import.meta.url));
const SERVICE = 'load';
const WARM_UP_MS = 2_000;

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,2' },
    share: { type: 'string', default: '0.1' },
    rate: { type: 'string', default: '20000' },
    seconds: { type: 'string', default: '5' },
  },
});
const counts = values.workers.split(',').map(Number);
/** The same load whatever the workers: one agent for each worker of the largest relay. */
const agents = Math.max(...counts);

interface Child {
  readonly process: ChildProcess;
  readonly lines: Record<string, unknown>[];
}

const start = (args: readonly string[]): Child => {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: Record<string, unknown>[] = [];
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (line) => {
      if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
      else process.stderr.write(`${line}\n`);
    });
  return { process: child, lines };
};

const until = async ({ process: child, lines }: Child, matches: (line: Record<string, unknown>) => boolean): Promise<Record<string, unknown>> => {
  for (;;) {
    const found = lines.find(matches);
    if (found) return found;
    if (child.exitCode !== null) throw new Error(`a process ended early: ${JSON.stringify(lines.slice(-3))}`);
    await sleep(20);
  }
};

const stop = async ({ process: child }: Child): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await ended;
};

const writeLab = (directory: string, workers: number): void => {
  const authority = createAuthority({ trustDomain: 'bench.test' });
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text, { mode: 0o600 });
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
  const names = Array.from({ length: agents }, (_, n) => `agent-${n}`);
  issue('relay', 'relay-1');
  issue('connector', 'connector-1', [SERVICE]);
  for (const name of names) issue('agent', name);
  write('ca.crt', authority.certificatePem);
  write('keyring.yaml', stringify({ keys }));
  write('policy.yaml', stringify({ rules: [{ allow: names, services: [SERVICE] }] }));
  const tls = { ca: 'ca.crt', certificate: 'relay-1.crt', key: 'relay-1.key' };
  write('relay.yaml', stringify({ listen: '127.0.0.1:0', workers, tls, keyring: 'keyring.yaml', policy: 'policy.yaml', journal: false, drainTimeout: '1ms' }));
};

const relayingProcesses = (relay: number, workers: number): number[] => {
  if (workers === 1) return [relay];
  const children = readdirSync(`/proc/${relay}/task`).flatMap((task) => readFileSync(`/proc/${relay}/task/${task}/children`, 'utf8').split(' '));
  return children.filter(Boolean).map(Number);
};

const measure = async (workers: number, share: number): Promise<object> => {
  const directory = mkdtempSync(join(tmpdir(), 'ztna-bench-'));
  const children: Child[] = [];
  const begin = (...args: string[]): Child => {
    const child = start(args);
    children.push(child);
    return child;
  };
  let unlimit = (): void => undefined;
  try {
    writeLab(directory, workers);
    const relay = begin(RELAY, 'run', '-c', join(directory, 'relay.yaml'));
    const port = String((await until(relay, ({ event }) => event === 'listening'))['address']).split(':').at(-1)!;
    const connector = begin(CLIENT, 'connector', directory, 'connector-1', port, '0');
    for (let index = 0; index < workers; index++) await until(connector, ({ event, worker }) => event === 'registered' && (workers === 1 || worker === index));
    for (let index = 0; index < agents; index++) {
      // Agents meet workers at random; this one is to be at its own.
      for (;;) {
        const agent = begin(CLIENT, 'agent', directory, `agent-${index}`, port, values.rate);
        const { worker } = await until(agent, ({ event }) => event === 'registered');
        if (workers === 1 || worker === index % workers) {
          await until(agent, ({ ready }) => ready === true);
          break;
        }
        await stop(agent);
      }
    }
    const pids = relayingProcesses(relay.process.pid!, workers);
    if (share < 1) unlimit = limitCpu(pids, share);
    await sleep(WARM_UP_MS);
    const receivedNow = (): number => Number(connector.lines.findLast((line) => 'received' in line)?.['received'] ?? 0);
    const before = { received: receivedNow(), cpu: pids.map(cpuMicroseconds), at: performance.now() };
    await sleep(Number(values.seconds) * 1000);
    const datagrams = receivedNow() - before.received;
    const seconds = (performance.now() - before.at) / 1000;
    const cpu = pids.map((pid, n) => cpuMicroseconds(pid) - before.cpu[n]!);
    return {
      workers,
      'share each': share,
      'offered/s': agents * Number(values.rate),
      'forwarded/s': Math.round(datagrams / seconds),
      'µs/datagram': Number((cpu.reduce((sum, one) => sum + one, 0) / datagrams).toFixed(2)),
      'CPU used': cpu.map((one) => (one / seconds / 1e6).toFixed(3)).join(' + '),
    };
  } finally {
    unlimit();
    await Promise.all(children.reverse().map(stop));
    rmSync(directory, { recursive: true });
  }
};

const rows: object[] = [];
for (const workers of counts) rows.push(await measure(workers, Number(values.share)));
console.table(rows);
