// Step 6 of a datagram's way: from the switch to the connection it leaves by. Owns each client's outbound
// queue, the memory they share, and whose turn a waiting datagram is part of.
//
// Fair towards a connector means: between the agents that use it, over all their sessions. By session, an
// agent that opens its 1024 would have 1024 turns to its neighbour's one. Towards an agent it means: between
// its sessions, all of which it asked for itself.

import {
  OutboundQueue,
  type EndpointConnection,
  type FairQueueLimits,
  type QueueBudget,
  type QueueLimitsReached,
  type RelayMachine,
} from '@ztna/protocol';

export class Forwarder {
  readonly #machine: RelayMachine;
  readonly #budget: QueueBudget;
  readonly #outbound: (OutboundQueue | undefined)[] = [];
  #limits: FairQueueLimits;

  constructor(machine: RelayMachine, budget: QueueBudget, limits: FairQueueLimits) {
    this.#machine = machine;
    this.#budget = budget;
    this.#limits = limits;
  }

  /** Datagrams waiting in all queues. */
  get waiting(): number {
    return this.#budget.pool.used;
  }

  /** Bytes of memory they occupy, a slot for each. */
  get waitingBytes(): number {
    return this.#budget.bytes;
  }

  /** Datagrams dropped for each bound. */
  get limitsReached(): Readonly<QueueLimitsReached> {
    return this.#budget.limitsReached;
  }

  /** @param id free, and the connection's until `remove` */
  add(id: number, link: EndpointConnection): void {
    const machine = this.#machine;
    this.#outbound[id] = new OutboundQueue({
      link,
      counter: machine.counters,
      budget: this.#budget,
      limits: this.#limits,
      isCurrent: (datagram) => machine.isCurrent(id, datagram),
    });
  }

  /** What waited is dropped as `peer_gone`. */
  remove(id: number): void {
    this.#outbound[id]?.clear('peer_gone');
    this.#outbound[id] = undefined;
  }

  /** HOT PATH. `datagram` is the caller's again afterwards. */
  forward(sender: number, target: number, datagram: Uint8Array, now: number): void {
    const outbound = this.#outbound[target];
    if (!outbound) this.#machine.counters.countDropped('peer_gone');
    else if (outbound.isOpen) outbound.pass(datagram);
    else outbound.wait(this.#machine.flowOf(sender, target, datagram), datagram, now);
  }

  /** The connection was flushed. */
  handleFlushed(id: number, now: number): void {
    this.#outbound[id]?.handleFlushed(now);
  }

  /** Flows waiting in all queues, from now on. */
  setMaxFlows(flows: number): void {
    this.#budget.flows.setMaxFlows(flows);
  }

  /** Bounds of each queue, from now on. */
  setLimits(limits: FairQueueLimits): void {
    this.#limits = limits;
    for (const outbound of this.#outbound) outbound?.setLimits(limits);
  }
}
