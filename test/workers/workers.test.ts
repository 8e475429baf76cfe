// A relay with two workers on one port: a connector registers with both, agents come to either, and what happens to one
// worker is nothing to those on the other.

import t from 'tap';
import { countEvents, waitForCount } from '../harness/overlay.js';
import { scaledByLoad } from '../harness/patience.js';
import { parseScrape } from '../harness/scrape.js';
import { echo, openFlow, startWorkerLab, workerPids, WORKERS } from './worker-lab.js';

const RETURN_LIMIT_MS = 5_000;
const REVOCATION_BOUND_MS = 1_000;

const { lab, relay, connector, agents, names, healthPort } = await startWorkerLab(t);
const [first, second] = agents as [(typeof agents)[number], (typeof agents)[number]];

t.test('the relay says once that it listens, with how many workers', async (t) => {
  t.match(await relay.waitFor('listening'), { workers: WORKERS, address: `127.0.0.1:${lab.relayPort}` });
  t.equal(countEvents(relay, 'listening'), 1);
  for (let worker = 0; worker < WORKERS; worker++) t.match(await relay.waitFor('worker_listening', { worker }), { address: `127.0.0.1:${lab.relayPort}` });
});

t.test('flows of agents on either worker reach the same connector', async (t) => {
  for (const agent of agents) {
    const flow = await openFlow(t, agent);
    await echo(flow, 'x'.repeat(20_000).slice(0, 900));
    flow.destroy();
  }
  for (let worker = 0; worker < WORKERS; worker++) await relay.waitFor('session_opened', { worker });
  t.equal(countEvents(connector, 'registered'), WORKERS, 'one registration with each');
});

t.test('a scrape shows what each worker counts, and that both are up', async (t) => {
  const scraped = parseScrape(await (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text());
  const valueOf = (name: string, worker: number): number | undefined =>
    scraped.find((family) => family.name === name)?.samples.find(({ labels }) => labels['worker'] === String(worker))?.value;
  for (let worker = 0; worker < WORKERS; worker++) {
    t.equal(valueOf('ztna_relay_worker_up', worker), 1);
    t.equal(valueOf('ztna_relay_worker_restarts_total', worker), 0);
    t.equal(valueOf('ztna_relay_connectors_registered', worker), 1);
    t.ok(valueOf('ztna_relay_datagrams_forwarded_total', worker)! > 0);
    t.ok(valueOf('process_resident_memory_bytes', worker)! > 0);
  }
  t.equal(new Set(scraped.map(({ name }) => name)).size, scraped.length, 'each family once');
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 200);
});

t.test('each worker reports on SIGUSR2, and the relay as a whole', async (t) => {
  process.kill(relay.pid, 'SIGUSR2');
  await relay.waitForEvent(({ event, counts }) => event === 'status' && JSON.stringify(counts) === '{"workers":2,"ready":2}', 'the status of the relay');
  for (let worker = 0; worker < WORKERS; worker++) t.match(await relay.waitFor('status', { worker }), { counts: { registeredConnectors: 1 } });
});

t.test('kill -9 of one worker: flows on the other do not notice, and clients of the killed one are back in seconds', async (t) => {
  const unharmed = await openFlow(t, second);
  const cut = await openFlow(t, first);
  const isCut = new Promise((resolve) => cut.once('close', resolve));
  const before = { connections: countEvents(second.process, 'disconnected'), connector: countEvents(connector, 'registered', { worker: 0 }) };
  const back = first.process.waitForNext(({ event }) => event === 'registered', 'the agent back');
  const killed = performance.now();
  process.kill(workerPids(relay)[0]!, 'SIGKILL');
  await relay.waitFor('worker_lost', { worker: 0, reason: 'SIGKILL' });
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 503, 'not ready while a worker is missing');
  await echo(unharmed, 'still here');
  await relay.waitFor('worker_restarted', { worker: 0, restarts: 1 });
  await isCut;
  await connector.waitForEvent(() => countEvents(connector, 'registered', { worker: 0 }) > before.connector, 'the connector back at the worker');
  t.match(await back, { relay: 'relay-1' });
  const flow = await openFlow(t, first);
  const took = performance.now() - killed;
  t.comment(`a new flow ${Math.round(took)} ms after kill -9`);
  t.ok(took < scaledByLoad(RETURN_LIMIT_MS));
  await echo(unharmed, 'and still');
  t.equal(countEvents(second.process, 'disconnected'), before.connections, 'the other agent kept its connection');
  t.equal((await fetch(`http://127.0.0.1:${healthPort}/readyz`)).status, 200, 'ready again');
  for (const socket of [flow, unharmed]) socket.destroy();
});

t.test('whichever worker is killed, the connector stays registered at the other', async (t) => {
  for (const worker of [1, 0]) {
    const before = countEvents(connector, 'registered', { worker });
    const other = countEvents(connector, 'registered', { worker: 1 - worker });
    process.kill(workerPids(relay)[worker]!, 'SIGKILL');
    await connector.waitForEvent(() => countEvents(connector, 'registered', { worker }) > before, `back at worker ${worker}`);
    t.equal(countEvents(connector, 'registered', { worker: 1 - worker }), other);
  }
  for (const agent of agents) (await openFlow(t, agent)).destroy();
});

t.test('a broken file is refused by every worker, and the next good one taken', async (t) => {
  const good = lab.read('policy.yaml');
  lab.write('policy.yaml', 'rules: [{allow: 7}]\n');
  for (let worker = 0; worker < WORKERS; worker++) await relay.waitFor('reload_refused', { worker });
  lab.write('policy.yaml', good);
  for (let worker = 0; worker < WORKERS; worker++) await relay.waitFor('reloaded', { worker });
  const before = countEvents(relay, 'reloaded', { trigger: 'SIGHUP' });
  process.kill(relay.pid, 'SIGHUP');
  await relay.waitForEvent(() => countEvents(relay, 'reloaded', { trigger: 'SIGHUP' }) >= before + WORKERS + 1, 'a reload in every process');
  for (const agent of agents) (await openFlow(t, agent)).destroy();
  t.pass('and flows pass');
});

t.test('a change of `workers` asks for a restart', async (t) => {
  const config = lab.read('relay-1.yaml');
  lab.write('relay-1.yaml', config.replace('workers: 2', 'workers: 1'));
  t.match(await relay.waitFor('restart_needed'), { changed: 'workers' });
  lab.write('relay-1.yaml', config);
});

t.test('the deny list ends flows of the revoked on whichever worker, within a second', async (t) => {
  const flows = await Promise.all(agents.map((agent) => openFlow(t, agent)));
  const ends = flows.map(async (socket) => {
    const from = performance.now();
    await new Promise((resolve) => socket.once('close', resolve));
    return performance.now() - from;
  });
  lab.write('deny.yaml', `identities: [${names.map((name) => `agent/${name}`).join(', ')}]\n`);
  for (const took of await Promise.all(ends)) t.ok(took < scaledByLoad(REVOCATION_BOUND_MS), `${Math.round(took)} ms`);
  lab.write('deny.yaml', 'identities: []\n');
  await waitForCount(relay, 'right_withdrawn', agents.length);
});
