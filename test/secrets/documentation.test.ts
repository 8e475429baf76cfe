// docs/validate-secrets.md says what the script does: every check, every option, and that it is one command away.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../harness/lab.js';
import { BREAKAGES } from './breakages.js';
import { runScript } from './validator.js';

const page = readFileSync(join(ROOT, 'docs', 'validate-secrets.md'), 'utf8');
const folder = join(ROOT, 'scripts', 'validate-secrets');
const sources = readdirSync(folder).filter((name) => name.endsWith('.sh')).map((name) => readFileSync(join(folder, name), 'utf8')).join('\n');
const rows = (heading: string): string[] => [...(page.split(`## ${heading}\n`)[1] ?? '').split('\n## ')[0]!.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]!).sort();

t.test('the table of checks is the set of checks in the script', (t) => {
  const used = [...sources.matchAll(/finding (?:error|warning) "[^"]*(?:"\$[^"]*"[^"]*)?" ([a-z-]+) /g)].map((match) => match[1]!);
  const passed = [...sources.matchAll(/read_registration \w+ "\$\w+" (\w+)/g)].map((match) => match[1]!);
  t.same(rows('What it checks'), [...new Set([...used, ...passed])].sort());
  t.end();
});

t.test('every check has a test that breaks it, or one of another file', (t) => {
  const broken = new Set(BREAKAGES.flatMap(({ findings }) => findings.map(([, , check]) => check)));
  t.same(rows('What it checks').filter((check) => !broken.has(check)), ['encoding', 'permissions'], 'these two are in sources.test.ts');
  t.end();
});

t.test('the options of --help are those of the page', async (t) => {
  const { stdout } = await runScript(t, ['--help']);
  const options = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map((match) => match[1]!).filter((name) => name !== '--help');
  t.same([...page.matchAll(/^\| `(--[a-z-]+)/gm)].map((match) => match[1]!).sort(), options.sort());
});
