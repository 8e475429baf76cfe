// Tables, chart, verdicts and the document they are written into, from made-up figures.

import t from 'tap';
import { drawChart } from '../report/chart.js';
import { writeIntoDocument } from '../report/document.js';
import { formatValue, type Result } from '../report/result.js';
import { tabulate, toMarkdown, toText } from '../report/table.js';
import { judge } from '../report/targets.js';

const relay = (subject: Result['subject'], value: number): Result => ({ bench: 'relay', subject, metric: 'cpu_us_per_datagram', unit: 'µs', value, params: { offered_per_s: 20_000 } });
const tcp = (subject: Result['subject'], streams: number, direction: string, value: number): Result => ({ bench: 'tcp', subject, metric: 'mbit_per_s', unit: 'Mbit/s', value, params: { streams, direction } });

const RESULTS: Result[] = [
  relay('ztna', 5), relay('ztna-plain', 10), relay('coturn', 2.004),
  tcp('ztna', 1, 'up', 1234.5), tcp('ztna', 1, 'down', 400), tcp('nebula', 1, 'up', 617.25), tcp('nebula', 1, 'down', 500),
];

t.test('a table has a row for each setting and a column for each subject, empty where nothing was measured', async (t) => {
  const [first, second] = tabulate([...RESULTS, tcp('ztna', 8, 'up', 1)]);
  t.same(first, { bench: 'relay', subjects: ['ztna', 'ztna-plain', 'coturn'], rows: [{ name: 'cpu_us_per_datagram, 20000 offered/s', cells: ['5', '10', '2'] }] });
  t.same(second!.rows.map(({ cells }) => cells), [['1 235', '617'], ['400', '500'], ['1', '']]);
  t.equal(toText(first!), [
    'relay                                 ztna  ztna-plain  coturn',
    '─'.repeat(62),
    'cpu_us_per_datagram, 20000 offered/s     5          10       2',
  ].join('\n'), 'as text');
  t.equal(toMarkdown(first!), '| `relay` | ztna | ztna-plain | coturn |\n|---|---:|---:|---:|\n| cpu_us_per_datagram, 20000 offered/s | 5 | 10 | 2 |');
});

t.test('values have three digits, and never lose those before the point', async (t) => {
  t.same([0, 0.12345, 5.678, 99.99, 1234567.8, -2.5, NaN].map(formatValue), ['0', '0.123', '5.68', '100', '1 234 568', '-2.5', '–']);
});

t.test('a target is met, missed, or not judged without its figures', async (t) => {
  const verdicts = judge(RESULTS);
  const [plain, coturn, oneStream, eightStreams] = verdicts;
  t.match(plain, { target: 'at most 0.55×', seen: '0.5×', isMet: true });
  t.match(coturn, { target: 'at most 2.5×', seen: '2.5×', isMet: true });
  t.match(oneStream, { target: 'at least 1×', seen: '0.8×', isMet: false }, 'the worse direction counts');
  t.match(eightStreams, { seen: '–', isMet: undefined });
  t.equal(judge([relay('ztna', 5.6), relay('ztna-plain', 10)])[0]!.isMet, false);
});

t.test('the chart is well-formed: a bar for each figure, no longer than its value, nothing outside the picture', async (t) => {
  const svg = drawChart(RESULTS);
  const [, width, height] = /^<svg [^>]*width="(\d+)" height="(\d+)"/.exec(svg)!.map(Number);
  const bars = [...svg.matchAll(/<rect class="([a-z-]+)" x="(\d+)" y="(\d+)" width="([\d.]+)" height="(\d+)"/g)].map(([, subject, ...numbers]) => ({ subject, numbers: numbers.map(Number) }));
  t.equal(bars.length, RESULTS.length);
  for (const { numbers: [x, y, length, thickness] } of bars) t.ok(x! + length! <= width! && y! + thickness! <= height!, 'inside');
  const lengthOf = (subject: string): number => bars.find((bar) => bar.subject === subject)!.numbers[2]!;
  t.equal(Math.round((lengthOf('ztna-plain') / lengthOf('ztna')) * 10) / 10, 2, 'twice the value, twice the length');
  t.equal([...svg.matchAll(/<text /g)].length, [...svg.matchAll(/<\/text>/g)].length);
  t.match(svg, 'prefers-color-scheme:dark');
  t.notMatch(svg, /NaN|undefined|<script|href/);
  t.ok(svg.length < 20_000, `${svg.length} bytes`);
});

t.test('words in a chart cannot break it', async (t) => {
  const svg = drawChart([{ ...RESULTS[0]!, params: { load: '<b>&' } }]);
  t.match(svg, '&lt;b&gt;&amp;');
  t.notMatch(svg, '<b>');
});

t.test('a run replaces what an earlier one wrote, and nothing else', async (t) => {
  const about = { machine: 'a machine', network: 'loopback', notes: ['nebula is left out'] };
  const before = '# Performance\n\n<!-- written by npm run bench -->\nold\n<!-- end -->\n\nBy hand.\n';
  const once = writeIntoDocument(before, RESULTS, about);
  t.match(once, /^# Performance\n\n<!-- written by npm run bench -->\n\nMachine: a machine\./);
  t.match(once, /\n<!-- end -->\n\nBy hand\.\n$/);
  t.notMatch(once, 'old');
  t.match(once, '- nebula is left out');
  t.equal(writeIntoDocument(once, RESULTS, about), once);
  t.throws(() => writeIntoDocument('# No marks', RESULTS, about), /lacks/);
});
