// One relay holds a crowd of idle clients: what each costs in memory, how fast a new agent gets in meanwhile, and
// whether a transfer keeps its speed: that of one through another relay, which has none of them. 1000 clients in the suite; ZTNA_SCALE sets another number (`npm run scale`
// takes 10 000, for the figures in docs/limits.md).

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { joinAs } from '../harness/intruder.js';
import { Lab, ROOT } from '../harness/lab.js';
import { listenersFor } from '../harness/overlay.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';

const CROWD = join(ROOT, 'bench', 'dist-test', 'load', 'crowd.js');
const MIB = 1024 * 1024;
const JOINS = 20;
/** The targets: bytes of the relay for each idle client, ms for a new agent, share of the speed without the crowd. */
const MAX_BYTES_EACH = 64 * 1024;
/** What the process itself grows by as it warms up, whatever the number of clients: 1000 clients must not be charged for it. */
const WARM_UP_BYTES = 24 * MIB;
const MAX_JOIN_MS = 100;
const MIN_SPEED = 0.9;
/** A round of pings. */
const IDLE_LOOK_MS = 20_000;
/** Time for one client to register, with room for a machine that is busy with other tests. */
const MS_PER_CLIENT = 20;

const count = Number(process.env.ZTNA_SCALE ?? 1000);
/** The suite runs several files at once on two cores, where only memory can be held to its target. */
const isMeasurement = process.env.ZTNA_SCALE !== undefined;
const TRANSFER_BYTES = (isMeasurement ? 96 : 16) * MIB;
const TRANSFERS = isMeasurement ? 15 : 1;
/** After the crowd was stopped: what it had put off is done. */
const SETTLE_MS = 300;

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1]!;

const curl = requireTool(t, 'curl');
if (curl) {
  t.setTimeout(120_000 + count * MS_PER_CLIENT);
  const web = await startWebBackend(t);
  const services = { web: { backend: web.address } };
  const setUp = async (): Promise<{ lab: Lab; relay: ManagedProcess; download: () => Promise<number> }> => {
    const lab = Lab.create(t);
    lab.enrol('connector', 'connector-1', ['web']);
    for (const agent of ['alice', 'newcomer']) lab.enrol('agent', agent);
    lab.issue('agent', 'crowd');
    lab.registrationKey('crowd', 'agent', [], { algorithm: 'hmac-sha256' });
    const relay = await lab.startRelay([{ allow: ['alice'], services: ['web'] }], { extra: { log: { level: 'info' } } });
    await lab.startConnector('connector-1', services);
    const alice = await lab.startAgent('alice', listenersFor(services));
    /** MiB/s. */
    const download = async (): Promise<number> => {
      const started = performance.now();
      const run = await runTool(curl, ['-sS', `http://127.0.0.1:${alice.port('web')}/bytes/1/${TRANSFER_BYTES}`, '-o', '/dev/null', '-w', '%{size_download}']);
      if (run.stdout.toString() !== String(TRANSFER_BYTES)) throw new Error(`curl: ${run.stdout.toString()} ${run.stderr}`);
      return TRANSFER_BYTES / MIB / ((performance.now() - started) / 1000);
    };
    // Everybody's code is compiled by the first ones.
    for (let i = 0; i < TRANSFERS; i++) await download();
    return { lab, relay, download };
  };
  const alone = await setUp();
  const { lab, relay, download } = await setUp();

  await t.test(`${count} idle clients on one relay`, async (t) => {
    const rssAlone = relay.rssBytes();
    const started = performance.now();
    const crowd = lab.run(CROWD, [JSON.stringify({ directory: lab.directory, name: 'crowd', relay: { host: '127.0.0.1', port: lab.relayPort }, count })]);
    await crowd.waitForEvent(({ event }) => event === 'crowd_ready', 'the crowd', count * MS_PER_CLIENT);
    const joinRate = count / ((performance.now() - started) / 1000);
    const bytesEach = (relay.rssBytes() - rssAlone) / count;

    const joins: number[] = [];
    for (let i = 0; i < JOINS; i++) {
      const began = performance.now();
      const newcomer = await joinAs(lab, 'agent', 'newcomer');
      joins.push(performance.now() - began);
      await newcomer.close();
    }
    const idle = await cpuShares([relay, crowd], () => (isMeasurement ? wait(IDLE_LOOK_MS) : Promise.resolve()));
    // In turns, since the machine's own speed drifts by several percent within minutes. The crowd stands still while there is to be none.
    const speeds = { with: [] as number[], without: [] as number[] };
    for (let i = 0; i < TRANSFERS; i++) {
      crowd.child.kill('SIGSTOP');
      speeds.without.push(await alone.download());
      crowd.child.kill('SIGCONT');
      await wait(SETTLE_MS);
      speeds.with.push(await download());
    }
    const kept = median(speeds.with) / median(speeds.without);

    t.comment(`registered ${joinRate.toFixed(0)}/s; ${(bytesEach / 1024).toFixed(1)} KiB each at the relay`);
    t.comment(`a new agent registers in ${median(joins).toFixed(1)} ms (median), ${Math.max(...joins).toFixed(1)} ms (slowest of ${JOINS})`);
    t.comment(`idle, the relay takes ${percent(idle[0]!)} of a processor and the crowd's process ${percent(idle[1]!)}`);
    t.comment(`download ${median(speeds.with).toFixed(0)} MiB/s with them, ${median(speeds.without).toFixed(0)} without: ${kept.toFixed(2)} (medians of ${TRANSFERS}, in turns)`);
    const allowed = MAX_BYTES_EACH + (isMeasurement ? 0 : WARM_UP_BYTES / count);
    t.ok(bytesEach <= allowed, `at most ${allowed.toFixed(0)} bytes each, ${bytesEach.toFixed(0)} seen`);
    t.equal(crowd.events.filter(({ event }) => event === 'crowd_lost').length, 0, 'none was lost');
    if (!isMeasurement) return;
    t.ok(median(joins) <= MAX_JOIN_MS, `a new agent registers in at most ${MAX_JOIN_MS} ms`);
    t.ok(kept >= MIN_SPEED, `a transfer keeps ${MIN_SPEED} of its speed without them`);
  });
}

/** What each process takes of one processor while `run` runs. */
async function cpuShares(processes: readonly ManagedProcess[], run: () => Promise<void>): Promise<number[]> {
  const before = processes.map((process) => process.cpuMicroseconds());
  const started = performance.now();
  await run();
  const microseconds = (performance.now() - started) * 1000;
  return processes.map((process, index) => (process.cpuMicroseconds() - before[index]!) / microseconds);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}
