// The part of docs/performance.md that a run writes: between two marks, so that what people wrote around it stays.

import type { Result } from './result.js';
import { tabulate, toMarkdown } from './table.js';
import { judge, verdictMarkdown } from './targets.js';

const BEGIN = '<!-- written by npm run bench -->';
const END = '<!-- end -->';

export interface RunDescription {
  readonly machine: string;
  /** Undefined when nothing was measured now. */
  readonly network: string | undefined;
  /** What was left out, and how much was offered. */
  readonly notes: readonly string[];
}

/** @throws Error when the marks are missing */
export const writeIntoDocument = (document: string, results: readonly Result[], { machine, network, notes }: RunDescription): string => {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END, begin);
  if (begin === -1 || end === -1) throw new Error(`the document lacks ${BEGIN} or ${END}`);
  const about = [`Machine: ${machine}.`, ...(network === undefined ? [] : [`Network: ${network}.`])].join('\n');
  const parts = [about, verdictMarkdown(judge(results)), '![Chart](performance.svg)', ...tabulate(results).map(toMarkdown), ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : [])];
  return `${document.slice(0, begin + BEGIN.length)}\n\n${parts.join('\n\n')}\n\n${document.slice(end)}`;
};
