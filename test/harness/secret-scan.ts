// Which secrets of a lab must never show: private keys, registration keys and tokens, in every spelling a
// careless log line, or metric, could give them. Owns the needles and the search through text; memory is memory-scan.ts.

import { readdirSync } from 'node:fs';
import type { Test } from 'tap';
import { parse } from 'yaml';
import type { Lab } from './lab.js';

/** Shorter pieces would turn up by chance. */
const MIN_NEEDLE = 16;

/** Every spelling of secret bytes: base64 (both alphabets), hex, and as Node prints a buffer or JSON an array. */
export const spellings = (bytes: Uint8Array): string[] => {
  const buffer = Buffer.from(bytes);
  const spaced = buffer.toString('hex').replace(/(..)(?=.)/g, '$1 ');
  return [buffer.toString('base64').replace(/=+$/, ''), buffer.toString('base64url'), buffer.toString('hex'), spaced, buffer.join(',')];
};

/** The secrets in the lab's folder: each line of each private key, each registration key, each token of a health port. */
export const labSecrets = (lab: Lab): string[] => {
  const secrets: string[] = [];
  for (const file of readdirSync(lab.directory)) {
    if (file.endsWith('.key')) {
      secrets.push(...lab.read(file).split('\n').filter((line) => line.length >= MIN_NEEDLE && !line.startsWith('-----')));
    } else if (file.endsWith('.token')) {
      const token = lab.read(file).trim();
      if (token.length >= MIN_NEEDLE) secrets.push(token);
    } else if (file.endsWith('.regkey')) {
      const { secret } = parse(lab.read(file)) as { secret: string };
      secrets.push(...spellings(Buffer.from(secret, 'base64')));
    }
  }
  return secrets;
};

/** Processes of the lab that have shown one of these. */
function* leaks(lab: Lab, needles: readonly string[]): Generator<{ process: string; needle: string }> {
  for (const { shown, child } of lab.processes) {
    for (const needle of needles) if (shown.includes(needle)) yield { process: child.spawnargs.join(' '), needle };
  }
}

/** Every lab asks this when it ends, so that the logs and metrics of the whole suite are searched. Throws on the first secret shown. */
export const assertNoSecretsShown = (lab: Lab, secrets: readonly string[]): void => {
  for (const { process, needle } of leaks(lab, secrets)) throw new Error(`${process} showed a secret: ${needle}`);
};

/** Fails for each process of the lab whose output holds a secret of the lab or one of `tokens`. */
export const checkNoSecretsLogged = (t: Test, lab: Lab, tokens: readonly Uint8Array[] = []): void => {
  const needles = [...labSecrets(lab), ...tokens.filter((token) => token.length >= MIN_NEEDLE).flatMap(spellings)];
  t.ok(needles.length > 0 && needles.every((needle) => needle.length >= MIN_NEEDLE), 'there are secrets to look for');
  t.ok(lab.processes.some(({ log }) => log.length > 0), 'there are logs to look through');
  for (const leak of leaks(lab, needles)) t.fail(`${leak.process} logged a secret`, leak);
};
