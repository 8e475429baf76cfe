// Prometheus's text format as a test reads it: families with their samples, and the value of one series.

import { get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';

export interface Sample {
  /** The family's name, for a histogram with its suffix. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ScrapedFamily {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

/** @throws Error on a line that is not of the format, or a sample outside of its family */
export const parseScrape = (text: string): ScrapedFamily[] => {
  const families: ScrapedFamily[] = [];
  let help: readonly [name: string, text: string] | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const helped = /^# HELP (\S+) (.*)$/.exec(line);
    const typed = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (helped) help = [helped[1]!, helped[2]!];
    else if (typed) {
      if (help?.[0] !== typed[1]) throw new Error(`TYPE without its HELP: ${line}`);
      families.push({ name: typed[1]!, help: help![1], type: typed[2]!, samples: [] });
    } else families.at(-1)!.samples.push(parseSample(line, families.at(-1)!));
  }
  return families;
};

const parseSample = (line: string, { name, type }: ScrapedFamily): Sample => {
  const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (!match) throw new Error(`not a sample: ${line}`);
  const series = match[1]!;
  const suffix = series.slice(name.length);
  const allowed = type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  if (!series.startsWith(name) || !allowed.includes(suffix)) throw new Error(`${series} in the family ${name}`);
  const labels = Object.fromEntries([...(match[2] ?? '').matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [key!, value!]));
  return { name: series, labels, value: Number(match[3]) };
};

/** The sum of the series of that name whose labels match; undefined when there is none. */
export const valueOf = (families: readonly ScrapedFamily[], name: string, labels: Readonly<Record<string, string>> = {}): number | undefined => {
  const found = families
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
};

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** One GET on a connection of its own. @param address host:port */
export const fetchHealth = (address: string, path: string, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> =>
  new Promise((resolve, reject) => {
    const request = get(`http://${address}${path}`, { agent: false, headers }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => (body += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body }));
    });
    request.on('error', reject);
  });

/** Asks ten times a second until the answer is as it should be. Never rejects for an answer that is not: the test's own timeout ends it. */
export const fetchUntil = async (address: string, path: string, holds: (answer: HttpAnswer) => boolean, headers: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> => {
  for (;;) {
    const answer = await fetchHealth(address, path, headers);
    if (holds(answer)) return answer;
    await wait(100);
  }
};

export const scrapeMetrics = async (address: string): Promise<ScrapedFamily[]> => parseScrape((await fetchHealth(address, '/metrics')).body);
