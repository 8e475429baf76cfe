// Runs scripts/validate-secrets.sh and reads what it says. Every run is held to what is true of all of them: an exit
// code of 0, 1 or 2 that fits the findings, valid JSON, no secret in the output, nothing left in the temporary folder.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../harness/lab.js';
import { spellings } from '../harness/secret-scan.js';
import { runTool, type RunOptions } from '../harness/tools.js';
import { scratch } from './scratch.js';
import type { Content } from './deployment.js';

export const SCRIPT = join(ROOT, 'scripts', 'validate-secrets.sh');

export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly object: string;
  readonly check: string;
  readonly finding: string;
  readonly action: string;
}

export interface Verdict {
  readonly version: 1;
  readonly error?: string;
  readonly roles: string[];
  readonly checked: string[];
  readonly skipped: { object: string; reason: string }[];
  readonly findings: Finding[];
  readonly errors: number;
  readonly warnings: number;
}

export interface Run {
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** As it is, whatever the arguments. `secrets` must not show in the output. */
export const runScript = async (t: Test, args: readonly string[], options: RunOptions & { content?: Content; bash?: readonly string[] } = {}): Promise<Run> => {
  const temporary = scratch(t);
  const { exit, stdout, stderr } = await runTool('bash', [...(options.bash ?? []), SCRIPT, ...args], { ...options, env: { ...options.env, TMPDIR: temporary } });
  const run = { exit, stdout: stdout.toString(), stderr };
  if (options.content) checkNoSecret(t, options.content, run.stdout + run.stderr);
  const left = readdirSync(temporary);
  if (left.length > 0) t.fail('files are left in the temporary folder', { left });
  return run;
};

/** With --json; fails unless exit code, JSON and findings agree. */
export const validate = async (t: Test, args: readonly string[], options: RunOptions & { content?: Content } = {}): Promise<Verdict> => {
  const { exit, stdout, stderr } = await runScript(t, ['--json', ...args], options);
  const verdict = JSON.parse(stdout) as Verdict;
  t.equal(exit, verdict.error !== undefined ? 2 : verdict.findings.length > 0 ? 1 : 0, `exit code ${stderr}`);
  if (verdict.error === undefined) {
    t.equal(stderr, '');
    t.equal(verdict.errors + verdict.warnings, verdict.findings.length);
  }
  return verdict;
};

/** `object check` of each finding, sorted. */
export const summary = ({ findings }: Verdict): string[] => findings.map(({ object, check }) => `${object}: ${check}`).sort();

const MIN_NEEDLE = 16;

/** What of a deployment must never be printed: lines of private keys, registration secrets, and their spellings. */
export const needlesOf = (content: Content): string[] => {
  const needles: string[] = [];
  for (const [object, entries] of Object.entries(content))
    for (const [key, text] of Object.entries(entries)) {
      if (key === 'tls.key' || text.includes('PRIVATE KEY')) {
        const lines = (/-----BEGIN [A-Z ]*PRIVATE KEY-----([^-]*)/.exec(text)?.[1] ?? '').split('\n').map((line) => line.trim());
        needles.push(...lines.filter((line) => line.length >= MIN_NEEDLE), ...lines.filter((line) => line.length >= MIN_NEEDLE).map((line) => Buffer.from(line).toString('base64').slice(0, MIN_NEEDLE)));
      }
      if (object.startsWith('Secret/'))
        for (const match of text.matchAll(/secret"?: *"?([A-Za-z0-9+/]{20,}=*)/g)) needles.push(...spellings(Buffer.from(match[1]!, 'base64')));
    }
  return needles.filter((needle) => needle.length >= MIN_NEEDLE);
};

const checkNoSecret = (t: Test, content: Content, output: string): void => {
  for (const needle of needlesOf(content)) if (output.includes(needle)) t.fail('a secret was printed', { needle: needle.slice(0, 4) });
};

/** The values of `data` of every Secret in a manifest, decoded; for tests of what kubectl made of our content. */
export const decodedData = (manifest: string): Record<string, Record<string, string>> =>
  Object.fromEntries(
    parseAllDocuments(manifest).map((document) => {
      const { kind, metadata, data } = document.toJS() as { kind: string; metadata: { name: string }; data: Record<string, string> };
      return [`${kind}/${metadata.name}`, Object.fromEntries(Object.entries(data).map(([key, value]) => [key, kind === 'Secret' ? Buffer.from(value, 'base64').toString() : value]))];
    }),
  );
