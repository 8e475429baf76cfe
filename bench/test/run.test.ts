// The benchmark itself, at its smallest: it measures, prints its table and writes its figures. How fast anything was is
// not looked at: the suite shares its processors.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { findTool } from '../lab/tools.js';
import { SUBJECTS, type Result } from '../report/result.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
t.setTimeout(120_000);
/** Without it nothing is measured at all. */
const skip = existsSync('/proc/self/schedstat') ? {} : { skip: 'no scheduler figures in /proc' };

const run = async (args: readonly string[]): Promise<{ code: number | null; output: string }> => {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output };
};

t.test('relay on loopback: a table, figures of every subject, and a chart', skip, async (t) => {
  const directory = t.testdir({});
  const [json, svg] = [join(directory, 'results.json'), join(directory, 'chart.svg')];
  const { code, output } = await run(['--only', 'relay', '--seconds', '1', '--rate', '2000', '--loopback', '--cpu-prof', directory, '--json', json, '--svg', svg]);
  t.equal(code, 0, output);
  t.match(output, /^network: loopback \(asked for\)$/m);
  t.match(output, /^relay +ztna +ztna-plain +floor/m);
  t.match(output, /^cpu_us_per_datagram, 2000 offered\/s +\d/m);
  const hasCoturn = findTool('turnserver') !== undefined;
  if (!hasCoturn) t.match(output, /coturn is left out: turnserver is not installed \(Debian package coturn\)/);

  const results = JSON.parse(readFileSync(json, 'utf8')) as Result[];
  const subjects = ['ztna', 'ztna-plain', 'floor', ...(hasCoturn ? ['coturn'] : [])];
  for (const result of results) {
    t.same(Object.keys(result), ['bench', 'subject', 'metric', 'unit', 'value', 'params']);
    t.equal(result.bench, 'relay');
    t.ok((SUBJECTS as readonly string[]).includes(result.subject), result.subject);
    t.ok(Number.isFinite(result.value) && result.value >= 0, `${result.subject} ${result.metric} ${result.value}`);
    t.same(result.params, result.metric === 'cpu_us_of_part' ? { part: result.params.part } : { offered_per_s: 2000 });
  }
  for (const metric of ['cpu_us_per_datagram', 'datagrams_per_s', 'drops'])
    t.same(results.filter((result) => result.metric === metric).map(({ subject }) => subject), subjects, metric);
  const cost = results.find(({ subject, metric }) => subject === 'ztna' && metric === 'cpu_us_per_datagram')!.value;
  const parts = results.filter(({ metric }) => metric === 'cpu_us_of_part').reduce((sum, { value }) => sum + value, 0);
  t.ok(Math.abs(parts / cost - 1) < 0.01, `the parts add up: ${parts} of ${cost}`);
  for (const { subject, metric, value } of results) if (metric !== 'drops' && metric !== 'cpu_us_of_part') t.ok(value > 0, `${subject} relays: ${metric} ${value}`);
  t.match(readFileSync(svg, 'utf8'), /^<svg /);
  t.match(output, /(met|missed) .*relay CPU per datagram, against plain/);
});

t.test('a wrong option ends it with 2, and says which', async (t) => {
  const { code, output } = await run(['--only', 'nothing']);
  t.equal(code, 2);
  t.match(output, /"nothing" is none of relay, tcp/);
});

t.test('interrupted, it leaves no process and no network namespace behind', skip, async (t) => {
  const child = spawn(process.execPath, [MAIN, '--only', 'relay', '--seconds', '60', '--rate', '100'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  while (!output.includes('offered to each')) await once(child.stdout, 'data');
  const children = readFileSync(`/proc/${child.pid!}/task/${child.pid!}/children`, 'utf8').trim().split(' ').map(Number);
  t.ok(children.length >= 6, `${children.length} processes`);
  const namespaces = (): string[] => (existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => name.startsWith(`ztna-bench-${child.pid!}-`)) : []);
  if (output.startsWith('network: namespaces')) t.equal(namespaces().length, 3);
  child.kill('SIGINT');
  const [code] = (await once(child, 'close')) as [number | null];
  t.equal(code, 1);
  const isThere = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  t.same(children.filter(isThere), []);
  t.same(namespaces(), []);
});
