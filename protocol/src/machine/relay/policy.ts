// Policy: which agent may open which service. Default deny. Owns the decision; reading it out of a
// policy.yaml is policy-parse.ts, and when it is asked is the session broker's choice.

export type PolicyDecision = 'allow' | 'service_unknown' | 'policy_denied';

/** One rule with its groups already replaced by agent names. */
export interface PolicyRule {
  readonly agents: Iterable<string>;
  readonly services: Iterable<string>;
}

/** Immutable: a reload is a new `Policy`. */
export class Policy {
  readonly #agentsByService = new Map<string, Set<string>>();

  constructor(rules: Iterable<PolicyRule>) {
    for (const rule of rules) {
      const agents = [...rule.agents];
      for (const service of rule.services) {
        const allowed = this.#agentsByService.get(service) ?? new Set();
        for (const agent of agents) allowed.add(agent);
        this.#agentsByService.set(service, allowed);
      }
    }
  }

  /** Services that some rule names. */
  get services(): string[] {
    return [...this.#agentsByService.keys()];
  }

  /** Agents that some rule names, groups resolved; each once. */
  get agents(): string[] {
    return [...new Set([...this.#agentsByService.values()].flatMap((agents) => [...agents]))];
  }

  /**
   * O(1), whatever the number of rules. A service that no rule names is `service_unknown` to
   * everybody: that says nothing about whether a connector serves it.
   *
   * @param agent the agent's name (not its URI)
   */
  decide(agent: string, service: string): PolicyDecision {
    const allowed = this.#agentsByService.get(service);
    if (allowed === undefined) return 'service_unknown';
    return allowed.has(agent) ? 'allow' : 'policy_denied';
  }
}

/** Nobody may open anything. */
export const DENY_ALL = new Policy([]);
