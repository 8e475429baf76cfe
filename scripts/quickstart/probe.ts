// One HTTP request to the agent's local port, as curl would make it: the proof that the whole path works.

import { get } from 'node:http';
import { QuickstartFailure } from './failure.js';

export interface ProbeResult {
  readonly status: number;
  /** From dialing to the last byte of the body, whole milliseconds. */
  readonly milliseconds: number;
}

const TIMEOUT_MS = 10_000;

/** @throws QuickstartFailure when there is no complete answer */
export const requestThrough = (port: number): Promise<ProbeResult> =>
  new Promise((resolve, reject) => {
    const started = performance.now();
    const fail = (error: Error): void => reject(new QuickstartFailure(`the request through the overlay failed: ${error.message}.`));
    const request = get({ host: '127.0.0.1', port, agent: false, headers: { 'user-agent': 'quickstart' } }, (response) => {
      response.resume();
      response.once('error', fail);
      response.once('end', () => resolve({ status: response.statusCode ?? 0, milliseconds: Math.round(performance.now() - started) }));
    });
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    request.once('error', fail);
  });
