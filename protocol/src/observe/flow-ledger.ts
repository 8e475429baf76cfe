// The flows of a process, for its metrics: those that are open with the bytes they have carried so far, and how
// those before them ended. A flow costs one entry; its bytes are read out of it when somebody scrapes.

import type { FailureCode } from '../failure-codes.js';
import { FLOW_KINDS, type FlowKind } from '../wire/flow-preamble.js';
import { OUTCOMES, type LabelSet, type MetricFamily } from './metric-family.js';
import { OutcomeCounter } from './outcome-counter.js';

/** Of one flow so far. `bytesSent` went into the overlay, `bytesReceived` came out of it. */
export interface FlowProgress {
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

const NO_BYTES: FlowProgress = { bytesSent: 0, bytesReceived: 0 };

interface ServiceTotals {
  open: Set<FlowRecord>;
  bytesSent: number;
  bytesReceived: number;
}

/** One flow, from its beginning to its end. */
export class FlowRecord {
  /** Where its bytes are counted, once there is such a place. */
  progress: FlowProgress = NO_BYTES;
  readonly #onEnd: (record: FlowRecord, code: FailureCode | undefined) => void;
  #ended = false;

  constructor(onEnd: (record: FlowRecord, code: FailureCode | undefined) => void) {
    this.#onEnd = onEnd;
  }

  /** However it ended; only the first call counts. `code` undefined: in good order. */
  end(code?: FailureCode, progress: FlowProgress = this.progress): void {
    if (this.#ended) return;
    this.#ended = true;
    this.progress = progress;
    this.#onEnd(this, code);
  }
}

export interface FlowFamilyNames {
  /** Such as `ztna_connector`. */
  readonly prefix: string;
  /** What `bytesSent` and `bytesReceived` are called here. */
  readonly directions: readonly [sent: string, received: string];
  /** What docs/metrics.md calls the services. */
  readonly services: string;
}

export class FlowLedger {
  readonly #services: ReadonlyMap<string, ServiceTotals>;
  readonly #outcomes: Readonly<Record<FlowKind, OutcomeCounter>> = { tcp: new OutcomeCounter(), udp: new OutcomeCounter() };

  /** @param services those of our own configuration; flows of any other are counted by outcome only */
  constructor(services: Iterable<string>) {
    this.#services = new Map([...services].map((service) => [service, { open: new Set(), bytesSent: 0, bytesReceived: 0 }]));
  }

  begin(service: string, kind: FlowKind): FlowRecord {
    const totals = this.#services.get(service);
    const record = new FlowRecord((ended, code) => {
      this.#outcomes[kind].count(code);
      if (!totals) return;
      totals.open.delete(ended);
      totals.bytesSent += ended.progress.bytesSent;
      totals.bytesReceived += ended.progress.bytesReceived;
    });
    totals?.open.add(record);
    return record;
  }

  families({ prefix, directions: [sent, received], services }: FlowFamilyNames): MetricFamily[] {
    const service: LabelSet = { values: [...this.#services.keys()], described: services };
    return [
      {
        type: 'gauge',
        name: `${prefix}_flows`,
        help: 'Flows open now',
        labels: { service },
        read: (emit) => {
          for (const [name, { open }] of this.#services) emit(open.size, { service: name });
        },
      },
      {
        type: 'counter',
        name: `${prefix}_flows_total`,
        help: 'Flows that ended or were refused',
        labels: { protocol: { values: FLOW_KINDS }, code: OUTCOMES },
        read: (emit) => {
          for (const protocol of FLOW_KINDS)
            for (const code of OUTCOMES.values) {
              const total = this.#outcomes[protocol].of(code);
              if (total > 0 || code === 'ok') emit(total, { protocol, code });
            }
        },
      },
      {
        type: 'counter',
        name: `${prefix}_flow_bytes_total`,
        help: 'Payload bytes of flows, open ones included; of UDP also those that were dropped on the way',
        labels: { service, direction: { values: [sent, received] } },
        read: (emit) => {
          for (const [name, { open, bytesSent, bytesReceived }] of this.#services) {
            const all = [...open].map(({ progress }) => progress);
            emit(all.reduce((sum, one) => sum + one.bytesSent, bytesSent), { service: name, direction: sent });
            emit(all.reduce((sum, one) => sum + one.bytesReceived, bytesReceived), { service: name, direction: received });
          }
        },
      },
    ];
  }
}
