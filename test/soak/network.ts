// The soak's network as its parent sees it: links by client name, where the relay is, and the NATs' forgetting.

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LinkStats } from './lossy-link.js';

export interface NetworkChances {
  readonly seed: number;
  readonly loss: number;
  readonly reordering: number;
  readonly duplication: number;
  readonly delayMs: number;
}

type Request =
  | { readonly kind: 'open' | 'rebind'; readonly name: string }
  | { readonly kind: 'relay'; readonly port: number }
  | { readonly kind: 'stats' };

export type NetworkRequest = Request & { readonly id: number };

export interface NetworkReply {
  readonly id: number;
  readonly result: { readonly port?: number; readonly stats?: LinkStats };
}

export class Network {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: NetworkReply['result']) => void; reject: (error: Error) => void }>();
  #nextId = 1;

  constructor({ seed, loss, reordering, duplication, delayMs }: NetworkChances) {
    const chances: NetworkChances = { seed, loss, reordering, duplication, delayMs };
    this.#child = fork(fileURLToPath(new URL('./network-process.js', import.meta.url)), [JSON.stringify(chances)]);
    this.#child.on('message', ({ id, result }: NetworkReply) => {
      this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
    });
    this.#child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`the network's process ended with ${signal ?? code ?? 'nothing'}`));
    });
  }

  /** A link for one client; returns the port where that client finds the relay. */
  async openLink(name: string): Promise<number> {
    return (await this.#ask({ kind: 'open', name })).port!;
  }

  async setRelay(port: number): Promise<void> {
    await this.#ask({ kind: 'relay', port });
  }

  async rebind(name: string): Promise<void> {
    await this.#ask({ kind: 'rebind', name });
  }

  async stats(): Promise<LinkStats> {
    return (await this.#ask({ kind: 'stats' })).stats!;
  }

  async close(): Promise<void> {
    if (!this.#child.connected) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }

  #ask(request: Request): Promise<NetworkReply['result']> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send({ ...request, id }, (error) => error && reject(error));
    });
  }
}
