// How the innocent user fares: the running transfer of innocent-program.ts, and its speed between two moments.

import { join } from 'node:path';
import type { Lab } from '../harness/lab.js';
import { ROOT } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';

const PROGRAM = join(ROOT, 'test', 'dist-test', 'abuse', 'innocent-program.js');
/** Bytes the transfer must have brought before anything is measured: slow start is over. */
const WARM_BYTES = 8 * 1024 * 1024;

interface Sample {
  /** Milliseconds since the Unix epoch, by the program's clock. */
  readonly at: number;
  readonly bytes: number;
}

export class InnocentTransfer {
  readonly #process: ManagedProcess;
  /** Of the application, for the connector. */
  readonly port: number;

  private constructor(process: ManagedProcess, port: number) {
    this.#process = process;
    this.port = port;
  }

  /** Starts the application; `begin` starts the transfer. */
  static async start(lab: Lab): Promise<InnocentTransfer> {
    const process = lab.run(PROGRAM, [], { stdin: true });
    const { port } = await process.waitFor('listening');
    return new InnocentTransfer(process, Number(port));
  }

  /** @param port of the agent's listener */
  async begin(port: number): Promise<void> {
    this.#process.child.stdin!.write(`${port}\n`);
    await this.#sample(({ bytes }) => bytes >= WARM_BYTES);
  }

  /** Bytes per second between two moments in milliseconds since the Unix epoch; 0 once it is broken. */
  async speed(from: number, to: number): Promise<number> {
    const last = await this.#sample(({ at }) => at >= to).catch(() => undefined);
    if (!last) return 0;
    const samples = this.#samples().filter(({ at }) => at <= last.at);
    const first = samples.findLast(({ at }) => at <= from) ?? samples[0]!;
    return ((last.bytes - first.bytes) * 1000) / Math.max(1, last.at - first.at);
  }

  /** Why the transfer ended, or undefined while it goes on. */
  get fault(): string | undefined {
    const event = this.#process.events.find((seen) => seen.event === 'broken');
    if (event) return String(event.reason);
    return this.#process.hasExited ? 'the innocent program died' : undefined;
  }

  /** Old samples are of no more use. */
  forget(): void {
    this.#process.events.splice(0, this.#process.events.length, ...this.#process.events.filter(({ event }) => event === 'broken'));
  }

  #samples(): Sample[] {
    return this.#process.events.filter(({ event }) => event === 'progress') as unknown as Sample[];
  }

  async #sample(matches: (sample: Sample) => boolean): Promise<Sample> {
    const event = await this.#process.waitForEvent((seen) => seen.event === 'progress' && matches(seen as unknown as Sample), 'progress of the innocent transfer');
    return event as unknown as Sample;
  }
}
