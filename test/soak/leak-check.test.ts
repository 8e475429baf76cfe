// What the soak calls leaked, with a process whose sockets, timers and counts the test decides.

import t, { type Test } from 'tap';
import { ManagedProcess } from '../harness/managed-process.js';
import { whenSettled } from './leak-check.js';
import { readStatus } from './process-status.js';

/** Logs a status on SIGUSR2, as ours do; takes hold of one more of everything on SIGHUP, and lets go of it on SIGCONT. */
const HOLDER = `
  const { createServer } = require('node:net');
  let server, timers = [];
  process.on('SIGUSR2', () => {
    const resources = {};
    for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1;
    console.error(JSON.stringify({ event: 'status', counts: { sessions: server ? 1 : 0 }, resources }));
  });
  process.on('SIGHUP', () => {
    server = createServer().listen(0, '127.0.0.1', () => console.error(JSON.stringify({ event: 'held' })));
    timers = Array.from({ length: 10 }, () => setTimeout(() => {}, 1e6));
  });
  process.on('SIGCONT', () => { server.close(); server = undefined; timers.forEach(clearTimeout); });
  setInterval(() => {}, 1e6);
  console.error(JSON.stringify({ event: 'ready' }));
`;

const startHolder = async (t: Test): Promise<ManagedProcess> => {
  const process = new ManagedProcess(globalThis.process.execPath, ['-e', HOLDER]);
  t.teardown(() => process.kill());
  await process.waitFor('ready');
  return process;
};

t.test('names every count, socket and timer that is too much', async (t) => {
  const process = await startHolder(t);
  const before = await readStatus(process);
  const expectation = { name: 'relay', process, before, counts: { sessions: 0 } };
  t.strictSame(await whenSettled([expectation], 0), []);
  process.child.kill('SIGHUP');
  await process.waitFor('held');
  const left = await whenSettled([expectation], 0);
  t.strictSame(left.map((line) => line.replace(/\d+/g, 'N')).sort(), [
    'relay: N TCPServerWrap, at most N expected',
    'relay: N Timeout, at most N expected',
    'relay: N sessions, at most N expected',
    'relay: N sockets, at most N expected',
  ]);
});

t.test('waits for what ends by itself', async (t) => {
  const process = await startHolder(t);
  const before = await readStatus(process);
  process.child.kill('SIGHUP');
  await process.waitFor('held');
  const settled = whenSettled([{ name: 'relay', process, before, counts: { sessions: 0 } }], 30_000);
  await process.waitFor('status');
  process.child.kill('SIGCONT');
  t.strictSame(await settled, []);
});

t.test('a gauge that the process does not have is a leak of its own', async (t) => {
  const process = await startHolder(t);
  const left = await whenSettled([{ name: 'relay', process, before: await readStatus(process), counts: { flows: 0 } }], 0);
  t.match(left, [/NaN flows/]);
});
