// How a relay with workers starts, is killed as a whole, and ends.

import t from 'tap';
import { Lab } from '../harness/lab.js';
import { scaledByLoad } from '../harness/patience.js';
import { eventually } from '../quic/eventually.js';
import { echo, isRunning, openFlow, startWorkerLab, workerPids, WORKERS } from './worker-lab.js';

const RETURN_LIMIT_MS = 5_000;

const isRegistered = ({ event }: { event: string }): boolean => event === 'registered';

// One overlay for all of them: each leaves a relay that runs, or starts it again.
const overlay = await startWorkerLab(t);
const { lab, agents, names, connector } = overlay;
let { relay } = overlay;

t.test('kill -9 of the parent takes its workers along, and the next start calls their clients back', async (t) => {
  const pids = workerPids(relay);
  t.equal(pids.length, WORKERS);
  const back = agents.map((agent) => agent.process.waitForNext(isRegistered, 'the agent back'));
  const connectorBack = Array.from({ length: WORKERS }, (_, worker) => connector.waitForNext((line) => isRegistered(line) && line['worker'] === worker, `back at worker ${worker}`));
  const killed = performance.now();
  relay.child.kill('SIGKILL');
  await eventually(() => !pids.some(isRunning));
  relay = await lab.restartRelay();
  for (let worker = 0; worker < WORKERS; worker++) await relay.waitFor('clients_prompted', { worker, clients: 2 });
  await Promise.all([...back, ...connectorBack]);
  for (const agent of agents) (await openFlow(t, agent)).destroy();
  const took = performance.now() - killed;
  t.comment(`flows on both workers ${Math.round(took)} ms after kill -9`);
  t.ok(took < scaledByLoad(RETURN_LIMIT_MS));
});

t.test('a port in use is said so, whether by workers or not', async (t) => {
  for (const workers of [1, WORKERS]) {
    const name = `relay-${workers + 1}`;
    // The policy file is that of the relay that runs.
    const path = lab.writeRelay([{ allow: names, services: ['echo'] }], { name, port: lab.relayPort, extra: { workers, journal: false } });
    const other = lab.run(lab.relayProgram, ['run', '-c', path]);
    t.equal(await other.exited, 2);
    t.match(other.stderrLines.join('\n'), new RegExp(`UDP 127.0.0.1:${lab.relayPort} is already in use`));
  }
});

t.test('SIGTERM drains every worker: an open flow goes on to its end, and the relay exits with 0', async (t) => {
  const pids = workerPids(relay);
  const flows = await Promise.all(agents.map((agent) => openFlow(t, agent)));
  // As a service manager does it: every process of the group.
  for (const pid of [relay.pid, ...pids]) process.kill(pid, 'SIGTERM');
  for (const process of [connector, ...agents.map((agent) => agent.process)]) await process.waitFor('draining');
  for (const flow of flows) await echo(flow, 'last words');
  for (const flow of flows) flow.end();
  t.equal(await relay.exited, 0);
  for (let worker = 0; worker < WORKERS; worker++) t.ok(relay.events.some((line) => line.event === 'stopped' && line['worker'] === worker), `worker ${worker}`);
  t.equal(relay.events.at(-1)?.event, 'stopped');
  t.notOk(pids.some(isRunning));
});

t.test('a second SIGTERM does not wait for flows', async (t) => {
  const [agent] = agents as [(typeof agents)[number]];
  connector.forgetEvents();
  const back = agent.process.waitForNext(isRegistered, 'the agent back');
  relay = await lab.restartRelay();
  await connector.waitFor('registered', { worker: (await back)['worker'] });
  const flow = await openFlow(t, agent);
  const cut = new Promise((resolve) => flow.once('close', resolve));
  const draining = agent.process.waitForNext(({ event }) => event === 'draining', 'draining');
  process.kill(relay.pid, 'SIGTERM');
  await draining;
  process.kill(relay.pid, 'SIGTERM');
  t.equal(await relay.exited, 0);
  await cut;
});

t.test('`check` names the workers, and warns of more than there are processors', async (t) => {
  const lab = Lab.create(t);
  const run = async (workers: unknown): Promise<{ code: unknown; text: string }> => {
    const checked = lab.run(lab.relayProgram, ['check', '-c', lab.writeRelay([], { port: 4433, extra: { workers } })]);
    const code = await checked.exited;
    return { code, text: `${checked.stdout.toString()}${checked.stderrLines.join('\n')}` };
  };
  const many = await run(64);
  t.equal(many.code, 0);
  t.match(many.text, /on UDP 127\.0\.0\.1:4433 with 64 workers/);
  t.match(many.text, /warning: 64 workers on \d+ processors?/);
  t.notMatch((await run(1)).text, /with \d+ workers/);
  for (const wrong of [0, 65, 1.5, 'two']) t.match(await run(wrong), { code: 2, text: /workers/ }, String(wrong));
});

