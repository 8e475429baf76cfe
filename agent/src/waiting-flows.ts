// Flows that wait for a service's connection: in order, bounded, each with a deadline of its own.
// Owns the queue and its timers; what they wait for is service-connection.ts.

import { failureMeaning, type EndpointConnection, type FailureCode, type QuicStream, type UdpFlowTable } from '@ztna/protocol';

/** Flows that may wait for one service before more are refused. */
export const MAX_WAITING_FLOWS = 1024;
/** From a flow's start to its stream: the 15 s a session may take, and a handshake. */
export const FLOW_WAIT_MS = 20_000;

export interface FlowRequest {
  /** A stream of an authenticated connection to the service. Called once, unless `onRefused` is. */
  onOpen(stream: QuicStream, connection: EndpointConnection, udpFlows: UdpFlowTable): void;
  onRefused(code: FailureCode, reason: string): void;
}

export class WaitingFlows {
  readonly #timers = new Map<FlowRequest, NodeJS.Timeout>();
  readonly #whatFor: () => string;
  readonly #waitMs: number;

  /** @param whatFor what the flows wait for now, as a sentence to people goes on after "waited 20 s for" */
  constructor(whatFor: () => string, waitMs = FLOW_WAIT_MS) {
    this.#whatFor = whatFor;
    this.#waitMs = waitMs;
  }

  get size(): number {
    return this.#timers.size;
  }

  /** Refuses at once when too many wait already. @returns whether it waits */
  add(request: FlowRequest): boolean {
    if (this.size >= MAX_WAITING_FLOWS) {
      request.onRefused('too_many_flows', failureMeaning('too_many_flows'));
      return false;
    }
    const expire = (): void => {
      this.#timers.delete(request);
      request.onRefused('connector_timeout', `waited ${this.#waitMs / 1000} s for ${this.#whatFor()}`);
    };
    this.#timers.set(request, setTimeout(expire, this.#waitMs));
    return true;
  }

  /** Takes out all, oldest first. */
  take(): FlowRequest[] {
    const requests = [...this.#timers.keys()];
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    return requests;
  }
}
