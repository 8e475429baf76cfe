// Results as tables: one per benchmark, a row for each metric and its parameters, a column for each subject. For
// terminals and, with the same content, as Markdown.

import { formatValue, SUBJECTS, type BenchName, type Params, type Result, type Subject } from './result.js';

export interface Table {
  readonly bench: BenchName;
  readonly subjects: readonly Subject[];
  readonly rows: readonly { readonly name: string; readonly cells: readonly string[] }[];
}

export const tabulate = (results: readonly Result[]): Table[] => [...new Set(results.map(({ bench }) => bench))].map((bench) => toTable(bench, results));

const toTable = (bench: BenchName, results: readonly Result[]): Table => {
  const own = results.filter((result) => result.bench === bench);
  const subjects = SUBJECTS.filter((subject) => own.some((result) => result.subject === subject));
  const rows = new Map<string, Map<Subject, string>>();
  for (const { metric, params, subject, value } of own) {
    const name = [metric, describeParams(params)].filter(Boolean).join(', ');
    const cells = rows.get(name) ?? new Map<Subject, string>();
    rows.set(name, cells.set(subject, formatValue(value)));
  }
  return { bench, subjects, rows: [...rows].map(([name, cells]) => ({ name, cells: subjects.map((subject) => cells.get(subject) ?? '') })) };
};

/** `8 streams, down`, `20000 offered/s`: numbers with their name, words without. */
export const describeParams = (params: Params): string =>
  Object.entries(params)
    .filter(([, value]) => value !== false)
    .map(([key, value]) => (typeof value === 'number' ? `${value} ${(value === 1 ? key.replace(/(?<!s)s$/, '') : key).replace('_per_', '/')}` : value === true ? key : value))
    .join(', ');

/** For a terminal: columns aligned, numbers to the right. */
export const toText = ({ bench, subjects, rows }: Table): string => {
  const lines = [[bench, ...subjects], ...rows.map(({ name, cells }) => [name, ...cells])];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const toLine = (line: readonly string[]): string => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ').trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('──');
  return [toLine(lines[0]!), rule, ...lines.slice(1).map(toLine)].join('\n');
};

export const toMarkdown = ({ bench, subjects, rows }: Table): string =>
  [`| \`${bench}\` | ${subjects.join(' | ')} |`, `|---|${subjects.map(() => '---:|').join('')}`, ...rows.map(({ name, cells }) => `| ${name} | ${cells.join(' | ')} |`)].join('\n');
