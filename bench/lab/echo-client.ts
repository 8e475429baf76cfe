// A program at the agent's site that pings echoes, and its answers.

import type { SocketAddress } from '@ztna/protocol';
import type { PingRequest } from '../load/echo-client.js';
import type { LabNetwork } from './network.js';
import { startLoadProgram } from './load-programs.js';
import type { Program } from './program.js';
import type { Teardown } from './teardown.js';

export interface RoundTrips {
  /** How many. */
  readonly trips: number;
  /** Percentiles, µs. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const MESSAGE_BYTES = 64;
/** So that the processes in between are idle when a message comes, as they are when a person types. */
const GAP_MS = 1;
const PATIENCE_MS = 30_000;

export class EchoClient {
  readonly #program: Program;
  #id = 0;

  private constructor(program: Program) {
    this.#program = program;
  }

  static async start(network: LabNetwork, teardown: Teardown): Promise<EchoClient> {
    return new EchoClient(await startLoadProgram(network.agent, teardown, 'echo-client', {}));
  }

  /** Tries until an echo answers. Rejects after 20 s. */
  async reach(address: SocketAddress): Promise<void> {
    await this.#ask(address, 0);
  }

  ping(address: SocketAddress, milliseconds: number): Promise<RoundTrips> {
    return this.#ask(address, milliseconds);
  }

  async #ask({ host, port }: SocketAddress, milliseconds: number): Promise<RoundTrips> {
    const id = ++this.#id;
    const program = this.#program;
    program.tell({ id, host, port, milliseconds, bytes: MESSAGE_BYTES, gapMs: GAP_MS } satisfies PingRequest);
    await program.until(() => program.state.answered === id, 'round trips', milliseconds + PATIENCE_MS);
    const { failure } = program.state;
    if (typeof failure === 'string') throw new Error(`${host}:${port} ${failure}`);
    return { trips: program.number('trips'), p50: program.number('p50'), p99: program.number('p99'), p999: program.number('p999') };
  }
}
