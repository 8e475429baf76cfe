// The options of `npm run soak`, with their defaults and bounds.

import { parseArgs } from 'node:util';

export const USAGE = `npm run soak [-- options]: churn of flows, clients and faults on a bad network of its own

  --minutes N      how long the churn lasts (default 10; fractions are fine, at least 0.2)
  --seed S         plan and packet loss depend on it alone (default: a random one, printed)
  --loss P         packets lost on each link and direction, in percent (default 1)
  --reorder P      packets overtaken by later ones, in percent (default 2)
  --duplicate P    packets that arrive twice, in percent (default 1)
  --delay MS       one way, on each link, in milliseconds (default 5)
  --idle-out       wait until unused sessions end by themselves (minutes) before the agents are stopped
  --help           this text`;

export interface SoakOptions {
  readonly minutes: number;
  readonly seed: number;
  /** Probabilities, 0 to 1. */
  readonly loss: number;
  readonly reordering: number;
  readonly duplication: number;
  readonly delayMs: number;
  readonly idleOut: boolean;
}

export type ParsedOptions = { readonly ok: true; readonly options: SoakOptions } | { readonly ok: false; readonly reason: string } | { readonly ok: 'help' };

const MAX_SEED = 2 ** 32 - 1;

/** @param randomSeed what to use without --seed */
export const parseSoakOptions = (args: readonly string[], randomSeed: number): ParsedOptions => {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '10' },
        seed: { type: 'string', default: String(randomSeed) },
        loss: { type: 'string', default: '1' },
        reorder: { type: 'string', default: '2' },
        duplicate: { type: 'string', default: '1' },
        delay: { type: 'string', default: '5' },
        'idle-out': { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    return { ok: false, reason: (error as Error).message };
  }
  if (values.help) return { ok: 'help' };
  const faults: string[] = [];
  const number = (name: string, text: string, min: number, max: number, whole = false): number => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!(value >= min && value <= max) || (whole && !Number.isInteger(value)))
      faults.push(`--${name} is ${JSON.stringify(text)}; it must be a ${whole ? 'whole ' : ''}number from ${min} to ${max}`);
    return value;
  };
  const options: SoakOptions = {
    minutes: number('minutes', values.minutes, 0.2, 1440),
    seed: number('seed', values.seed, 0, MAX_SEED, true),
    // Beyond these QUIC's handshake timeouts, not our code, would be what is tested.
    loss: number('loss', values.loss, 0, 20) / 100,
    reordering: number('reorder', values.reorder, 0, 100) / 100,
    duplication: number('duplicate', values.duplicate, 0, 100) / 100,
    delayMs: number('delay', values.delay, 0, 500),
    idleOut: values['idle-out'],
  };
  return faults.length > 0 ? { ok: false, reason: faults.join('\n') } : { ok: true, options };
};
