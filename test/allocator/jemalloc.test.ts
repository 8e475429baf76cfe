// Programs that run for long start over with jemalloc where it is installed: the same process, with its arguments, standard
// streams and signals; and they do not where the operator says so.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { ALLOCATOR_VARIABLE, libraryToPreload } from '@ztna/protocol';
import { Lab } from '../harness/lab.js';
import { startOverlay } from '../harness/overlay.js';
import { unusedPort } from '../harness/tcp.js';
import { requireInstalled } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';
import { startWorkerLab, workerPids } from '../workers/worker-lab.js';

// As on a machine where nobody has chosen anything.
for (const name of [ALLOCATOR_VARIABLE, 'LD_PRELOAD']) delete process.env[name];

const library = libraryToPreload({ hasChannel: false });

if (requireInstalled(t, 'libjemalloc2', library)) {
  const isMapped = (pid: number): boolean => readFileSync(`/proc/${pid}/maps`, 'latin1').includes('/libjemalloc.so');

  t.test('relay, connector and agent start over with it, carry a transfer, and end when told to', async (t) => {
    const web = await startWebBackend(t);
    const port = await unusedPort();
    const { relay, connector, agent } = await startOverlay(t, { web: { backend: web.address } }, {}, { health: { listen: `127.0.0.1:${port}` } });
    for (const [program, event] of [[relay, 'listening'], [connector, 'starting'], [agent.process, 'starting']] as const) {
      t.match(await program.waitFor(event), { allocator: 'jemalloc' });
      t.ok(isMapped(program.pid), 'in the process that was started, not a child of it');
      t.equal(program.events.filter((line) => line.event === event).length, 1, 'once');
    }
    t.match(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text(), /^ztna_build_info\{.*allocator="jemalloc".*\} 1$/m);
    const body = Buffer.from(await (await fetch(`http://127.0.0.1:${agent.port('web')}/bytes/1/1048576`)).arrayBuffer());
    t.equal(body.length, 1_048_576);
    for (const program of [agent.process, connector, relay]) t.equal(await program.stop(), 0);
  });

  t.test('workers have it too', async (t) => {
    const { relay } = await startWorkerLab(t);
    for (const pid of [relay.pid, ...workerPids(relay)]) t.ok(isMapped(pid));
  });

  const left: Record<string, NodeJS.ProcessEnv> = {
    'told to stay with the system’s': { [ALLOCATOR_VARIABLE]: 'system' },
    'that must preload nothing': { LD_PRELOAD: '' },
    'whose LD_PRELOAD was taken away, as from one with file capabilities': { [ALLOCATOR_VARIABLE]: 'jemalloc' },
  };
  for (const [what, env] of Object.entries(left)) {
    t.test(`a relay ${what} runs as it is`, async (t) => {
      const lab = Lab.create(t);
      const relay = lab.run(lab.relayProgram, ['run', '-c', lab.writeRelay([])], { env });
      t.match(await relay.waitFor('listening'), { allocator: 'system' });
      t.notOk(isMapped(relay.pid));
    });
  }

  t.test('options of Node and a relative configuration file get through', async (t) => {
    const lab = Lab.create(t);
    lab.writeRelay([]);
    const relay = lab.run('--stack-size=900', [lab.relayProgram, 'run', '-c', 'relay-1.yaml']);
    t.match(await relay.waitFor('listening'), { allocator: 'jemalloc' });
    t.match(readFileSync(`/proc/${relay.pid}/cmdline`, 'latin1').split('\0').slice(1), ['--stack-size=900', lab.relayProgram, 'run', '-c', 'relay-1.yaml']);
  });

  t.test('what does not run for long does not start over', async (t) => {
    const lab = Lab.create(t);
    const config = lab.writeRelay([]);
    const starts = lab.path('starts');
    const counter = lab.write('count-starts.cjs', `if (require('node:worker_threads').isMainThread) require('node:fs').appendFileSync(${JSON.stringify(starts)}, '.');`);
    const env = { NODE_OPTIONS: `--require=${counter}` };
    t.equal(await lab.run(lab.relayProgram, ['check', '-c', config], { env }).exited, 0);
    t.equal(lab.read('starts'), '.');
    await lab.run(lab.relayProgram, ['run', '-c', config], { env }).waitFor('listening');
    t.equal(lab.read('starts'), '...', 'and what does, once');
  });
}
