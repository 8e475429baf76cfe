// How many flows each agent has open at this connector, over all its connections, and the bound.

/** Design §6: TCP flows per agent at a connector. */
export const MAX_FLOWS_PER_AGENT = 1024;

export class FlowQuota {
  readonly #open = new Map<string, number>();
  readonly #max: number;

  constructor(max = MAX_FLOWS_PER_AGENT) {
    this.#max = max;
  }

  /** Takes a place for one flow, or returns false. Give each place back with `release`. */
  take(agent: string): boolean {
    const open = this.#open.get(agent) ?? 0;
    if (open >= this.#max) return false;
    this.#open.set(agent, open + 1);
    return true;
  }

  /** Flows of all agents. */
  get total(): number {
    let total = 0;
    for (const open of this.#open.values()) total += open;
    return total;
  }

  release(agent: string): void {
    const open = this.#open.get(agent) ?? 0;
    if (open > 1) this.#open.set(agent, open - 1);
    else this.#open.delete(agent);
  }
}
