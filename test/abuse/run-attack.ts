// One attack, measured: the innocent transfer's speed before and during, the relay's memory, and whether a
// newcomer gets in. Owns the verdict that holds for every attack; what is special to one is its own.

import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryWatch } from '../harness/progress.js';
import type { AbuseLab } from './abuse-lab.js';
import type { Attack, Counters } from './attack.js';

/** The innocent transfer keeps at least a tenth: attacker, victim and user share this machine's processors. */
const MAX_SLOWDOWN = 10;
/** A busy machine can stop everybody for longer than a short attack lasts: then it must move by this long after the start, ms. */
const STALL_MS = 3_000;
const DEFAULT_GROWTH_MIB = 64;
const MIB = 1024 * 1024;

/** Bytes per second. */
const MIN_BASELINE = 4 * MIB;

export interface Row {
  readonly attack: Attack;
  readonly seen: string;
  readonly faults: readonly string[];
  readonly counted: Counters;
  /** Resident memory of the relay, MiB. */
  readonly memory: { readonly before: number; readonly peak: number; readonly after: number };
  /** Beyond what the attack may take. */
  readonly hasGrown: boolean;
  /** MiB per second of the innocent transfer without the attack. */
  readonly baseline: number;
  /** How many times slower it was during the attack. */
  readonly slowdown: number;
  /** Lines the relay logged, at level info. */
  readonly logLines: number;
  /** Milliseconds a newcomer took to be registered, during the attack or else right after; undefined: never. */
  readonly newcomerMs: number | undefined;
}

export const runAttack = async (attack: Attack, lab: AbuseLab): Promise<Row> => {
  const { relay, innocent } = lab;
  relay.forgetEvents();
  innocent.forget();
  const baseline = await measureBaseline(lab);

  const before = relay.rssBytes();
  const watch = new MemoryWatch({ relay });
  const begun = Date.now();
  const [outcome, during] = await Promise.all([attempt(attack, lab), sleep(lab.attackMs / 3).then(() => arrival(lab))]);
  const speed = await innocent.speed(begun, Math.max(Date.now(), begun + lab.baselineMs));
  const speedInTheEnd = baseline > MAX_SLOWDOWN * speed && lab.intensity === 'short' ? await innocent.speed(begun, begun + STALL_MS) : speed;
  const newcomerMs = during ?? (await arrival(lab));
  await lab.cleanUp();

  const peak = before + watch.growth().get('relay')!;
  watch.stop();
  const slowdown = baseline / Math.max(speedInTheEnd, 1);
  const growth = (peak - before) / MIB;
  const limit = attack.growthMiB ?? DEFAULT_GROWTH_MIB;
  const faults = [...outcome.faults];
  if (baseline < MIN_BASELINE) faults.push('the innocent transfer stood still before the attack began');
  if (relay.hasExited) faults.push('the relay died');
  if (innocent.fault !== undefined) faults.push(`innocent transfer: ${innocent.fault}`);
  else if (slowdown > MAX_SLOWDOWN) faults.push(`innocent transfer ${slowdown.toFixed(1)} times slower`);
  if (growth > limit) faults.push(`the relay grew by ${growth.toFixed(0)} MiB, more than ${limit}`);
  if (newcomerMs === undefined) faults.push('a newcomer could not connect');
  const after = relay.hasExited ? 0 : relay.rssBytes();
  return {
    attack,
    seen: outcome.seen,
    faults,
    counted: outcome.counted ?? {},
    memory: { before: before / MIB, peak: peak / MIB, after: after / MIB },
    hasGrown: growth > limit,
    baseline: baseline / MIB,
    slowdown,
    logLines: relay.events.length + relay.stderrLines.length,
    newcomerMs,
  };
};

/** On a machine that others share everything may stand still for a moment: that is no speed to compare with. */
const measureBaseline = async ({ innocent, baselineMs }: AbuseLab): Promise<number> => {
  let speed = 0;
  for (let attempt = 0; attempt < 8 && speed < MIN_BASELINE; attempt++) {
    const from = Date.now();
    await sleep(baselineMs);
    speed = await innocent.speed(from, Date.now());
  }
  return speed;
};

const attempt = async (attack: Attack, lab: AbuseLab): ReturnType<Attack['run']> => {
  try {
    return await attack.run(lab);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    return { seen: 'could not be carried out', faults: [reason] };
  }
};

const arrival = (lab: AbuseLab): Promise<number | undefined> => lab.newcomer().catch(() => undefined);
