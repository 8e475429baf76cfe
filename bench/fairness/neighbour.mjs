// What a flood does to an agent that shares a connector with the flooder: the neighbour's questions and answers
// without it, with it, and with it under the queue the relay had before, QUIC's own, first in, first out.
// A 20 Mbit/s link to the connector, flooded with four times that; one relay in this process.
//
//   npx tsc -b && npx tsc -b tsconfig.test.json && node bench/fairness/neighbour.mjs [seconds]

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSharedConnector, useFifo } from '../../test/dist-test/fairness/shared-connector.js';

const milliseconds = Number(process.argv[2] ?? 5) * 1000;

/** What the harness wants of a test. */
const withLab = async (run) => {
  const directory = mkdtempSync(join(tmpdir(), 'ztna-bench-'));
  const teardowns = [() => rmSync(directory, { recursive: true })];
  try {
    return await run({ testdir: () => directory, teardown: (after) => teardowns.unshift(after) });
  } finally {
    for (const after of teardowns) await after();
  }
};

const row = (name, { asked, answered, p50, p99 }, drops = {}) => ({
  name,
  'answered of asked': `${answered} of ${asked}`,
  'p50 ms': p50,
  'p99 ms': p99,
  'flood dropped here': (drops.queue_delay ?? 0) + (drops.peer_queue_full ?? 0),
});

const rows = [];
for (const [name, isFifo, sessions] of [
  ['fair queue, flood over 1 session', false, 1],
  ['fair queue, flood over 100 sessions', false, 100],
  ['first in, first out, flood over 1 session', true, 1],
])
  await withLab(async (t) => {
    const shared = await startSharedConnector(t);
    if (isFifo) useFifo(shared);
    if (rows.length === 0) rows.push(row('no flood', await shared.measure(milliseconds)));
    const flood = await shared.flood(sessions);
    const neighbour = await shared.measure(milliseconds);
    flood.stop();
    rows.push(row(name, neighbour, shared.server.machine.counters.totals().dropped));
  });
console.table(rows);
