// How a load program hears its benchmark and answers: JSON lines on standard input and output. With the end of its
// input it ends, so that none outlives a benchmark that was killed.

import { createInterface } from 'node:readline';

type Fields = Readonly<Record<string, unknown>>;

/** One JSON line on standard output. */
export const report = (line: Fields): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

/**
 * Hands over each request; one with a `report` number is answered with it and the counters of that moment.
 *
 * @param handle for requests that are more than a question
 */
export const answerRequests = (counters: () => Fields, handle: (request: Fields) => void = () => undefined): void => {
  createInterface({ input: process.stdin })
    .on('line', (line) => {
      const request = JSON.parse(line) as Fields;
      handle(request);
      if (request.report !== undefined) report({ ...counters(), report: request.report });
    })
    .on('close', () => process.exit());
};

/** The settings of a load program: one JSON argument. */
export const settings = <Settings>(): Settings => JSON.parse(process.argv[2]!) as Settings;
