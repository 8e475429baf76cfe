// Where packets go: from host and port to the kernel's sockaddr, kept per destination together with
// what was learnt about it. Bounded: full, it starts over.

import type { SocketCalls } from './linux-calls.js';
import { NAME_BYTES } from './linux-layout.js';
import { writeSockaddr } from './sockaddr.js';

/** Above the 12 000 connections of a relay. About 300 bytes each: 5 MB at most. */
export const MAX_DESTINATIONS = 16_384;

export interface Destination {
  readonly host: string;
  readonly port: number;
  /** 32 bytes; undefined when no packet can be addressed so. */
  readonly sockaddr: Buffer | undefined;
  /** False once the route there has refused segmentation offload. */
  canSegment: boolean;
}

export class DestinationCache {
  /** By host, then port: two lookups of what the caller holds anyway, rather than a joined string per run. */
  readonly #byHost = new Map<string, Map<number, Destination>>();
  readonly #calls: SocketCalls;
  readonly #family: number;
  #size = 0;
  #last: Destination | undefined;

  constructor(calls: SocketCalls, family: number) {
    this.#calls = calls;
    this.#family = family;
  }

  get size(): number {
    return this.#size;
  }

  lookup(host: string, port: number): Destination {
    const last = this.#last;
    if (last && last.port === port && last.host === host) return last;
    const destination = this.#byHost.get(host)?.get(port) ?? this.#add(host, port);
    this.#last = destination;
    return destination;
  }

  #add(host: string, port: number): Destination {
    if (this.#size >= MAX_DESTINATIONS) {
      this.#byHost.clear();
      this.#size = 0;
    }
    const sockaddr = Buffer.alloc(NAME_BYTES);
    const isAddress = port > 0 && writeSockaddr(this.#calls, this.#family, { host, port }, sockaddr);
    const destination: Destination = { host, port, sockaddr: isAddress ? sockaddr : undefined, canSegment: true };
    let ports = this.#byHost.get(host);
    if (!ports) this.#byHost.set(host, (ports = new Map<number, Destination>()));
    ports.set(port, destination);
    this.#size++;
    return destination;
  }
}
