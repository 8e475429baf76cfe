// A worker as its parent sees it: up, silent, broken, gone.

import t, { type Test } from 'tap';
import { RelayWorker, workersWarning, WorkerPool } from '@ztna/intermediate-server';
import { createLogger, openSharedPort, type LogFields } from '@ztna/protocol';
import { Lab } from '../harness/lab.js';
import { eventually } from '../quic/eventually.js';

const unsupported = process.platform === 'linux' ? false : 'only Linux has such ports';

interface Scene {
  readonly lab: Lab;
  readonly config: string;
  readonly descriptors: readonly number[];
  readonly log: ReturnType<typeof createLogger>;
  readonly lines: LogFields[];
}

const setUp = async (t: Test): Promise<Scene> => {
  const lab = Lab.create(t);
  const config = lab.writeRelay([], { extra: { workers: 2, log: { level: 'silent' }, journal: false, drainTimeout: '1s', health: {} } });
  const port = await openSharedPort({ host: '127.0.0.1', port: 0 }, 2);
  t.teardown(() => port.close());
  const lines: LogFields[] = [];
  const log = createLogger({ name: 'test', destination: { write: (line) => void lines.push(JSON.parse(line) as LogFields) } });
  return { lab, config, descriptors: port.descriptors, log, lines };
};

t.test('a worker whose event loop stands still is killed and started again', { skip: unsupported }, async (t) => {
  const { config, descriptors, log, lines } = await setUp(t);
  const worker = new RelayWorker({ place: { index: 0, count: 2 }, config, descriptor: descriptors[0]!, log, pingMs: 1_000 });
  t.teardown(() => worker.stop(0));
  t.ok(await worker.start());
  worker.signal('SIGSTOP');
  await eventually(() => worker.restarts === 1 && worker.isReady);
  t.match(lines, [
    { event: 'worker_silent', worker: 0, pings: 4 },
    { event: 'worker_lost', worker: 0, reason: 'SIGKILL', restartInMs: 100 },
    { event: 'worker_restarted', worker: 0, restarts: 1 },
  ]);
});

t.test('a worker that dies again and again is started with growing pauses, and comes up once its files are good', { skip: unsupported }, async (t) => {
  const { lab, config, descriptors, log, lines } = await setUp(t);
  const worker = new RelayWorker({ place: { index: 1, count: 2 }, config, descriptor: descriptors[1]!, log });
  t.teardown(() => worker.stop(0));
  t.ok(await worker.start());
  const good = lab.read('policy.yaml');
  lab.write('policy.yaml', 'rules: 7\n');
  worker.signal('SIGKILL');
  await eventually(() => lines.filter(({ event }) => event === 'worker_lost').length === 3);
  t.notOk(worker.isReady);
  t.strictSame(await worker.read(), [], 'and shows no metrics meanwhile');
  t.match(lines, [{ reason: 'SIGKILL', restartInMs: 100 }, { reason: 'exit 2', restartInMs: 200 }, { reason: 'exit 2', restartInMs: 400 }]);
  lab.write('policy.yaml', good);
  await eventually(() => worker.isReady);
  t.ok((await worker.read()).some(({ name }) => name === 'ztna_relay_sessions'));
});

t.test('a pool of which one worker does not come up stops the others and fails', { skip: unsupported }, async (t) => {
  const { config, descriptors, log, lines } = await setUp(t);
  // No socket, but a file: the second worker has nothing to work on.
  const pool = new WorkerPool([descriptors[0]!, 2], { config, log });
  await t.rejects(pool.start(), { code: 'internal_error' });
  t.match(lines, [{ event: 'worker_failed', worker: 1 }]);
  t.equal(pool.faults().length, 2, 'none of them runs');
});

t.test('metrics of the workers are shown side by side', { skip: unsupported }, async (t) => {
  const { config, descriptors, log } = await setUp(t);
  const pool = new WorkerPool(descriptors, { config, log });
  t.teardown(() => pool.stop(0));
  await pool.start();
  const families = await pool.collect();
  const series: string[] = [];
  for (const family of families) if (family.name === 'ztna_relay_reloads_total' && family.type === 'counter') family.read((value, labels) => void series.push(`${JSON.stringify(labels)} ${value}`));
  t.strictSame(series, ['0', '1'].flatMap((worker) => ['applied', 'refused'].map((result) => `${JSON.stringify({ result, worker })} 0`)));
  t.strictSame(pool.faults(), []);
});

t.test('more workers than processors are worth a warning', async (t) => {
  t.equal(workersWarning(2, 2), undefined);
  t.equal(workersWarning(1, 1), undefined);
  t.equal(workersWarning(3, 2), '3 workers on 2 processors are slower than 2');
  t.equal(workersWarning(2, 1), '2 workers on 1 processor are slower than 1');
});
