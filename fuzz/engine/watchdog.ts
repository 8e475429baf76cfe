// An input that never ends can't be stopped from the thread it runs in. A second thread sees the input in shared
// memory, and when one runs for too long writes it down, says so and ends the process.

import { Worker } from 'node:worker_threads';

/** Far beyond what is reported as slow: a machine that stands still for a while must not look like a hang. */
export const HANG_MS = 10_000;
/** The largest input any target takes. */
const MAX_INPUT_BYTES = 1 << 17;
/** Shared words: how many inputs ran, whether one is running, its length. */
const HEAD_BYTES = 12;

export interface WatchdogInit {
  /** Where to write the input that hangs. */
  readonly crashFile: string;
  /** What to print then. */
  readonly message: string;
  readonly hangMs?: number;
}

export class Watchdog {
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #worker: Worker;

  constructor({ crashFile, message, hangMs = HANG_MS }: WatchdogInit) {
    const shared = new SharedArrayBuffer(HEAD_BYTES + MAX_INPUT_BYTES);
    this.#words = new Int32Array(shared, 0, 3);
    this.#bytes = new Uint8Array(shared, HEAD_BYTES);
    this.#worker = new Worker(WATCH, { eval: true, workerData: { shared, headBytes: HEAD_BYTES, crashFile, message, hangMs } });
    this.#worker.unref();
  }

  /** Before an input runs. */
  watch(input: Uint8Array): void {
    this.#bytes.set(input);
    this.#words[2] = input.length;
    this.#words[1] = 1;
    this.#words[0]!++;
  }

  /** Nothing runs any more. */
  async stop(): Promise<void> {
    this.#words[1] = 0;
    await this.#worker.terminate();
  }
}

/** The second thread. Its own process.exit would end only itself, so it kills the process, which is stuck. */
const WATCH = `
  const { workerData: { shared, headBytes, crashFile, message, hangMs } } = require('node:worker_threads');
  const { mkdirSync, writeFileSync, writeSync } = require('node:fs');
  const { dirname } = require('node:path');
  const words = new Int32Array(shared, 0, 3);
  let last = -1, since = 0;
  setInterval(() => {
    if (words[1] !== 1 || words[0] !== last) { last = words[0]; since = Date.now(); return; }
    if (Date.now() - since < hangMs) return;
    mkdirSync(dirname(crashFile), { recursive: true });
    writeFileSync(crashFile, Buffer.from(new Uint8Array(shared, headBytes, words[2])));
    writeSync(1, message + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }, Math.min(1000, hangMs / 4));
`;
