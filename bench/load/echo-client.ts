// Asks an echo for its bytes back over one TCP connection, one message at a time, and says how long that took. Tries
// until an echo answers at all, when asked whether one can be reached.

import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentile } from '../report/statistics.js';
import { answerRequests, report } from './requests.js';

export interface PingRequest {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  /** 0: one answer is enough, however long it takes. */
  readonly milliseconds: number;
  readonly bytes: number;
  /** Between an answer and the next question. */
  readonly gapMs: number;
}

/** For the path to have been used before it is measured. */
const WARM_UP_MESSAGES = 50;
const RETRY_MS = 100;
const ATTEMPT_MS = 1000;
const GIVE_UP_MS = 20_000;

/** Round trips in µs. */
const measure = async (socket: Socket, { milliseconds, bytes, gapMs }: PingRequest): Promise<number[]> => {
  const message = Buffer.alloc(bytes, 7);
  const ask = (): Promise<number> =>
    new Promise((resolve) => {
      const started = performance.now();
      let left = bytes;
      const onData = (chunk: Buffer): void => {
        left -= chunk.length;
        if (left > 0) return;
        socket.off('data', onData);
        resolve((performance.now() - started) * 1000);
      };
      socket.on('data', onData);
      socket.write(message);
    });
  for (let n = 0; n < WARM_UP_MESSAGES && milliseconds > 0; n++) await ask();
  const trips: number[] = [];
  const end = performance.now() + milliseconds;
  do {
    trips.push(await ask());
    if (gapMs > 0) await sleep(gapMs);
  } while (performance.now() < end);
  return trips;
};

const open = async ({ host, port }: PingRequest): Promise<Socket> => {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect', { signal: AbortSignal.timeout(ATTEMPT_MS) });
  return socket;
};

/** Rejects when the connection ends before the answers are there, or nothing comes at all. */
const ping = async (request: PingRequest): Promise<number[]> => {
  const socket = await open(request);
  try {
    const ended = new Promise<never>((_, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection ended')));
    });
    const patience = request.milliseconds === 0 ? [sleep(ATTEMPT_MS).then(() => Promise.reject(new Error('no answer')))] : [];
    return await Promise.race([measure(socket, request), ended, ...patience]);
  } finally {
    socket.destroy();
  }
};

const reach = async (request: PingRequest): Promise<number[]> => {
  const end = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await ping(request);
    } catch (error) {
      if (performance.now() > end) throw error;
      await sleep(RETRY_MS);
    }
  }
};

answerRequests(
  () => ({}),
  (request) => {
    const asked = request as unknown as PingRequest;
    (asked.milliseconds === 0 ? reach(asked) : ping(asked)).then(
      (trips) => report({ answered: asked.id, failure: null, trips: trips.length, p50: percentile(trips, 50), p99: percentile(trips, 99), p999: percentile(trips, 99.9) }),
      (error: Error) => report({ answered: asked.id, failure: error.message }),
    );
  },
);
report({ ready: true });
