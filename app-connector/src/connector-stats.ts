// What the connector counts for its metrics: flows, handshakes of agents, and how long backends took to answer.

import { FlowLedger, LatencyHistogram, OutcomeCounter } from '@ztna/protocol';

/** Seconds: the same host, the same rack, another zone, a backend that is overloaded; then the 10 s of BACKEND_CONNECT_TIMEOUT_MS. */
const CONNECT_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class ConnectorStats {
  readonly flows: FlowLedger;
  readonly handshakes = new OutcomeCounter();
  /** Time to a TCP connection with the backend, by service. */
  readonly connects: ReadonlyMap<string, LatencyHistogram>;

  /** @param services the names of those that are served */
  constructor(services: readonly string[]) {
    this.flows = new FlowLedger(services);
    this.connects = new Map(services.map((service) => [service, new LatencyHistogram(CONNECT_BOUNDS)]));
  }

  observeConnect(service: string, seconds: number): void {
    this.connects.get(service)?.observe(seconds);
  }
}
