// The chart of a run: horizontal bars, a panel for each benchmark's main metric, a group of bars for each setting. Plain
// SVG without scripts or fonts of its own; its colours follow the reader's light or dark theme.

import { formatValue, SUBJECTS, type BenchName, type Result, type Subject } from './result.js';
import { describeParams } from './table.js';

interface Bar {
  readonly label: string;
  readonly subject: Subject;
  readonly value: number;
}

interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const PANELS: Partial<Readonly<Record<BenchName, { readonly metric: string; readonly title: string }>>> = {
  relay: { metric: 'cpu_us_per_datagram', title: 'Relay CPU per 1200-byte datagram, µs (less is better)' },
  tcp: { metric: 'mbit_per_s', title: 'TCP through the relay, Mbit/s (more is better)' },
  latency: { metric: 'p50_us', title: 'Round trip of 64 bytes, median, µs (less is better)' },
  growth: { metric: 'cpu_us_per_datagram', title: 'Relay CPU per datagram as connections grow, µs (less is better)' },
  loss: { metric: 'mbit_per_s', title: 'One TCP stream over a bad link, Mbit/s (more is better)' },
};

const WIDTH = 720;
const LABEL_WIDTH = 190;
const SUBJECT_WIDTH = 76;
const VALUE_WIDTH = 60;
const BAR_HEIGHT = 13;
const BAR_STEP = 16;
const GROUP_GAP = 5;
const TITLE_HEIGHT = 26;
const PANEL_GAP = 14;
const BAR_X = LABEL_WIDTH + SUBJECT_WIDTH;
const BAR_SPAN = WIDTH - BAR_X - VALUE_WIDTH;

/** Dark enough on white, bright enough on black. */
const COLOURS: Readonly<Record<Subject, string>> = { ztna: '#2f81f7', 'ztna-plain': '#79a8e8', floor: '#8b949e', coturn: '#c9822b', nebula: '#8957e5', ssh: '#3d9b5f' };

const STYLE = [
  'text{font:12px system-ui,sans-serif;fill:#1f2328}',
  '.title{font-weight:600;font-size:13px}',
  '.subject,.value{fill:#59636e}',
  ...SUBJECTS.map((subject) => `.${subject}{fill:${COLOURS[subject]}}`),
  '@media (prefers-color-scheme:dark){text{fill:#e6edf3}.subject,.value{fill:#9198a1}}',
].join('');

export const drawChart = (results: readonly Result[]): string => {
  const parts: string[] = [];
  let y = 4;
  for (const panel of toPanels(results)) {
    parts.push(text(0, y + 14, panel.title, 'title'));
    y = drawBars(panel.bars, y + TITLE_HEIGHT, parts) + PANEL_GAP;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}" role="img" aria-label="Results of npm run bench">`,
    `<style>${STYLE}</style>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
};

const toPanels = (results: readonly Result[]): Panel[] =>
  (Object.keys(PANELS) as BenchName[]).flatMap((bench) => {
    const { metric, title } = PANELS[bench]!;
    // What the emulator carries would dwarf what goes through it.
    const own = results.filter((result) => result.bench === bench && result.metric === metric && !(bench === 'loss' && result.subject === 'floor'));
    // Bars of one setting stand together, in the order of subjects.
    const labels = [...new Set(own.map(({ params }) => describeParams(params)))];
    const bars = labels.flatMap((label) => own.filter(({ params }) => describeParams(params) === label).sort((a, b) => rank(a) - rank(b)).map(({ subject, value }) => ({ label, subject, value })));
    return bars.length > 0 ? [{ title, bars }] : [];
  });

const rank = ({ subject }: Result): number => SUBJECTS.indexOf(subject);

/** @returns where the next thing may begin */
const drawBars = (bars: readonly Bar[], top: number, parts: string[]): number => {
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  let y = top;
  let label: string | undefined;
  for (const bar of bars) {
    if (bar.label !== label) {
      if (label !== undefined) y += GROUP_GAP;
      parts.push(text(0, y + 11, bar.label));
      label = bar.label;
    }
    const width = Math.max(1, (Math.max(0, bar.value) / most) * BAR_SPAN);
    parts.push(text(LABEL_WIDTH, y + 11, bar.subject, 'subject'));
    parts.push(`<rect class="${bar.subject}" x="${BAR_X}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/>`);
    parts.push(text(BAR_X + width + 5, y + 11, formatValue(bar.value), 'value'));
    y += BAR_STEP;
  }
  return y;
};

const text = (x: number, y: number, content: string, style?: string): string => `<text x="${Number(x.toFixed(1))}" y="${y}"${style ? ` class="${style}"` : ''}>${escape(content)}</text>`;

const escape = (content: string): string => content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
