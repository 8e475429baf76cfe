// Where the microseconds of one datagram go: one more relay, profiled while it is offered the same load. The profile's
// shares are applied to the cost that was measured without it.

import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Result } from '../report/result.js';
import { profileShares, type CpuProfile } from '../report/profile.js';
import { toResult, type BenchContext } from './bench.js';
import { offer, startOurs, warmUp } from './relay.js';

const FILE = 'relay.cpuprofile';
/** Fewer samples than a second's tell little. */
const MIN_MS = 1000;

/** @param cost µs per datagram */
export const profileRelay = async (context: BenchContext, cost: number): Promise<Result[]> => {
  const { options, teardown } = context;
  const directory = resolve(options.cpuProf ?? teardown.directory());
  mkdirSync(directory, { recursive: true });
  const loaded = await startOurs(context, 'auto', ['--cpu-prof', `--cpu-prof-dir=${directory}`, `--cpu-prof-name=${FILE}`]);
  await warmUp(loaded, options.rate);
  const from = monotonicMicroseconds();
  await offer(loaded, options.rate, Math.max(MIN_MS, (options.seconds * 1000) / 3));
  const to = monotonicMicroseconds();
  // The profile is written when it ends.
  await loaded.relay.stop();
  const profile = JSON.parse(readFileSync(join(directory, FILE), 'utf8')) as CpuProfile;
  return profileShares(profile, [from, to]).map(([part, share]) => toResult('relay', 'ztna', 'cpu_us_of_part', share * cost, { part }));
};

const monotonicMicroseconds = (): number => Number(process.hrtime.bigint() / 1000n);
