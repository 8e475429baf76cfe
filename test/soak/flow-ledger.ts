// Every TCP flow of a run: which are open, what touched them, how each ended, and the totals. Pairs the two ends of a
// flow, wherever they meet.

import type { FlowPlan } from './flow-plan.js';
import type { FlowSide } from './flow-side.js';
import { judgeFlow, type Disturbance, type FlowEnd, type Verdict } from './verdict.js';

/** What a fault can touch: a flow of any of the agents, or through any of the connectors, or to that service alone. */
export interface Scope {
  readonly agents?: readonly string[];
  readonly connectors?: readonly string[];
  readonly services?: readonly string[];
}

export interface ActiveFault {
  readonly name: string;
  readonly scope: Scope;
  readonly blindEnd: Disturbance['blindEnd'];
  readonly onlyRefuses?: boolean;
}

export interface FlowRecord {
  readonly id: number;
  readonly agent: string;
  readonly service: string;
  readonly connector: string;
  readonly plan: FlowPlan;
  readonly disturbances: Disturbance[];
  readonly startedAt: number;
  lastProgress: number;
  client: FlowSide | undefined;
  backend: FlowSide | undefined;
  clientEnd: FlowEnd | undefined;
  backendEnd: FlowEnd | undefined;
}

/** The inner idle timeout is 60 s, the longest that either side may need to notice that the other is gone; and a margin. */
const STUCK_MS = 75_000;
const CHECK_INTERVAL_MS = 1_000;
const POLL_MS = 50;

export class FlowLedger {
  readonly totals = { flows: 0, complete: 0, aborted: 0, refused: 0, cut: 0, overdue: 0, lost: 0, bytes: 0 };
  readonly #open = new Map<number, FlowRecord>();
  readonly #active = new Set<ActiveFault>();
  readonly #onLost: (what: string) => void;
  readonly #timer: NodeJS.Timeout;
  #nextId = 1;

  constructor(onLost: (what: string) => void) {
    this.#onLost = onLost;
    this.#timer = setInterval(() => this.#checkProgress(), CHECK_INTERVAL_MS);
  }

  get open(): number {
    return this.#open.size;
  }

  /** Resolves once no flow is open. Those that are stuck are given up in time. */
  async whenEmpty(): Promise<void> {
    while (this.#open.size > 0) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  /** A flow begins; faults that are on have touched it already. */
  begin(agent: string, service: string, connector: string, plan: FlowPlan): FlowRecord {
    const now = performance.now();
    const flow: FlowRecord = {
      id: this.#nextId++, agent, service, connector, plan, disturbances: [], startedAt: now, lastProgress: now,
      client: undefined, backend: undefined, clientEnd: undefined, backendEnd: undefined,
    };
    this.#open.set(flow.id, flow);
    for (const fault of this.#active) disturb(flow, fault);
    return flow;
  }

  /** The flow of a header that a backend has read. */
  find(id: number): FlowRecord | undefined {
    return this.#open.get(id);
  }

  /** An end begins; the flow is over when each end that began is. */
  attach(flow: FlowRecord, role: 'client' | 'backend', side: FlowSide): void {
    flow[role] = side;
    void side.over.then((end) => {
      flow[role === 'client' ? 'clientEnd' : 'backendEnd'] = end;
      flow.lastProgress = performance.now();
      this.totals.bytes += end.received;
      this.#settle(flow);
    });
  }

  /** The client could not even connect. */
  fail(flow: FlowRecord, detail: string): void {
    flow.clientEnd = { received: 0, ending: 'reset', detail };
    this.#settle(flow);
  }

  /** Forgets a record that stood for something else than a TCP flow. */
  drop(flow: FlowRecord): void {
    this.#open.delete(flow.id);
  }

  /** From now until `endFault`, flows in its scope count as touched by it. */
  beginFault(fault: ActiveFault): void {
    this.#active.add(fault);
    for (const flow of this.#open.values()) disturb(flow, fault);
  }

  endFault(fault: ActiveFault): void {
    this.#active.delete(fault);
  }

  /** Whether a fault touches flows through that connector now. */
  isDisturbed(connector: string): boolean {
    return [...this.#active].some(({ scope, onlyRefuses }) => !onlyRefuses && (scope.connectors?.includes(connector) ?? true));
  }

  /** Something that no flow stands for went wrong. */
  countLost(what: string): void {
    this.totals.lost++;
    this.#onLost(what);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #settle(flow: FlowRecord): void {
    const { id, plan, clientEnd, backendEnd, backend, disturbances } = flow;
    if (!clientEnd || (backend && !backendEnd) || !this.#open.delete(id)) return;
    this.totals.flows++;
    this.#count(flow, judgeFlow(plan, clientEnd, backendEnd, disturbances));
  }

  #count(flow: FlowRecord, verdict: Verdict): void {
    if (typeof verdict === 'string') return void this.totals[verdict]++;
    const { id, agent, service, plan, startedAt, disturbances } = flow;
    const after = ((performance.now() - startedAt) / 1000).toFixed(1);
    const touched = disturbances.map(({ fault }) => fault).join(', ') || 'nothing';
    this.countLost(`flow ${id} ${agent} → ${service}, ${plan.kind} ${plan.up} up ${plan.down} down, after ${after} s, touched by ${touched}: ${verdict.fault}`);
  }

  #checkProgress(): void {
    const now = performance.now();
    for (const flow of this.#open.values()) {
      if (now - flow.lastProgress < STUCK_MS + flow.plan.pauseMs) continue;
      flow.client?.giveUp();
      flow.backend?.giveUp();
    }
  }
}

const disturb = (flow: FlowRecord, { name, scope, blindEnd, onlyRefuses = false }: ActiveFault): void => {
  const { agents, connectors, services } = scope;
  if (agents && !agents.includes(flow.agent)) return;
  if (connectors && !connectors.includes(flow.connector)) return;
  if (services && !services.includes(flow.service)) return;
  flow.disturbances.push({ fault: name, blindEnd, onlyRefuses });
};
