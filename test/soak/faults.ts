// Carries out planned faults one after the other, and knows how far each one reaches: flows in its scope may be cut, from
// just before the fault until a flow of each pair it touched has gone through again.

import type { ManagedProcess } from '../harness/managed-process.js';
import type { Fault, PlannedFault } from './fault-plan.js';
import type { ActiveFault, FlowLedger, Scope } from './flow-ledger.js';
import { AGENTS, RELAY, SERVICES, type SoakOverlay } from './soak-overlay.js';

/** Tries one flow; resolves with whether it came through whole. */
export type Probe = (agent: string, service: string) => Promise<boolean>;

/** Twice the outer idle timeout: whoever is not back by then is not coming. */
const RECOVERY_MS = 60_000;
const PROBE_GAP_MS = 100;
/** Of the clients (limits.md), and what it may take after that until the relay has sent again what was lost. */
const PING_INTERVAL_MS = 10_000;
const RECOVERED_WITHIN_MS = 2_000;
/** quiche ends a connection that changes its address more often than it has connection ids for. */
const MAX_REBINDS = 6;

export class FaultRunner {
  readonly counts: Record<Fault['kind'], number> = { kill: 0, terminate: 0, rebind: 0, reload: 0, withdraw: 0 };
  /** The longest time a fault took, from its start until everything it touched worked again, ms. */
  readonly slowest: Partial<Record<Fault['kind'], number>> = {};
  readonly #overlay: SoakOverlay;
  readonly #ledger: FlowLedger;
  readonly #probe: Probe;
  readonly #rebinds = new Map<ManagedProcess, number>();

  constructor(overlay: SoakOverlay, ledger: FlowLedger, probe: Probe) {
    this.#overlay = overlay;
    this.#ledger = ledger;
    this.#probe = probe;
  }

  /** Runs the plan from now; ends early once `signal` is aborted. */
  async run(plan: readonly PlannedFault[], signal: AbortSignal): Promise<void> {
    const start = performance.now();
    for (const { atMs, fault } of plan) {
      await pause(start + atMs - performance.now(), signal);
      if (signal.aborted) return;
      const began = performance.now();
      try {
        await this.#perform(fault);
      } catch (error) {
        // The flows in its scope stay excused; what comes after would only repeat the news.
        return this.#ledger.countLost(`${fault.kind} ${'target' in fault ? fault.target : ''}: ${firstLine(error)}`);
      }
      this.counts[fault.kind]++;
      this.slowest[fault.kind] = Math.max(this.slowest[fault.kind] ?? 0, performance.now() - began);
    }
  }

  async #perform(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case 'rebind':
        return this.#rebind(fault.target);
      case 'reload':
        return this.#reload();
      case 'withdraw':
        return this.#withdraw(fault.target, fault.service);
      default:
        return this.#stop(fault.kind, fault.target);
    }
  }

  async #stop(kind: 'kill' | 'terminate', target: string): Promise<void> {
    const isAgent = (AGENTS as readonly string[]).includes(target);
    const isRelay = target === RELAY;
    const scope: Scope = isRelay ? {} : isAgent ? { agents: [target] } : { connectors: [target] };
    const blindEnd = kind === 'terminate' || isRelay ? undefined : isAgent ? 'client' : 'backend';
    await this.#during({ name: `${kind} ${target}`, scope, blindEnd }, async () => {
      const process = this.#overlay.process(target);
      if (kind === 'kill') await process.kill();
      else {
        const exit = await process.stop();
        if (exit !== 0) this.#ledger.countLost(`${target} exited with ${exit} on SIGTERM`);
      }
      // The clients' next registration is what counts, not the one before.
      const clients = isRelay ? [...this.#overlay.running].filter(([name]) => name !== RELAY) : [];
      const back = clients.map(([name, client]) => this.#nextRegistration(name, client));
      await this.#overlay.restart(target);
      await Promise.all(back);
    });
  }

  async #nextRegistration(name: string, client: ManagedProcess): Promise<void> {
    try {
      await client.waitForNext(({ event }) => event === 'registered', 'registered');
    } catch (error) {
      this.#ledger.countLost(`${name} did not come back to the relay: ${firstLine(error)}`);
    }
  }

  /** No flow that is open may notice. A connector that has nothing to send is out of reach until its next ping, and a new flow may be refused meanwhile. */
  async #rebind(target: string): Promise<void> {
    const process = this.#overlay.process(target);
    const rebinds = this.#rebinds.get(process) ?? 0;
    if (rebinds >= MAX_REBINDS) return;
    this.#rebinds.set(process, rebinds + 1);
    if ((AGENTS as readonly string[]).includes(target)) return this.#overlay.network.rebind(target);
    const fault: ActiveFault = { name: `rebind ${target}`, scope: { connectors: [target] }, blindEnd: undefined, onlyRefuses: true };
    this.#ledger.beginFault(fault);
    // Another fault may end the process before that; the plan goes on meanwhile.
    void process
      .waitForNext(({ event }) => event === 'observed_address', 'observed_address', PING_INTERVAL_MS + RECOVERED_WITHIN_MS)
      .catch(() => undefined)
      .then(() => this.#ledger.endFault(fault));
    await this.#overlay.network.rebind(target);
  }

  /** Nobody may notice. */
  async #reload(): Promise<void> {
    const { lab } = this.#overlay;
    const relay = this.#overlay.process(RELAY);
    // Certificate and key are two files: as an operator would, the relay is told once both are there.
    const reloaded = relay.waitForNext(({ event, trigger }) => event === 'reloaded' && trigger === 'SIGHUP', 'reloaded');
    lab.issue('relay', RELAY);
    relay.child.kill('SIGHUP');
    await reloaded;
  }

  async #withdraw(agent: string, service: string): Promise<void> {
    await this.#during({ name: `withdraw ${agent} → ${service}`, scope: { agents: [agent], services: [service] }, blindEnd: undefined }, async () => {
      const relay = this.#overlay.process(RELAY);
      for (const without of [{ agent, service }, undefined]) {
        const replaced = relay.waitForNext(({ event }) => event === 'policy_replaced', 'policy_replaced');
        this.#overlay.writePolicy(without);
        relay.child.kill('SIGHUP');
        await replaced;
      }
    });
  }

  async #during(fault: ActiveFault, act: () => Promise<void>): Promise<void> {
    this.#ledger.beginFault(fault);
    await act();
    await Promise.all(pairsIn(fault.scope).map(([agent, service]) => this.#whenBack(fault.name, agent, service)));
    this.#ledger.endFault(fault);
  }

  async #whenBack(fault: string, agent: string, service: string): Promise<void> {
    const began = performance.now();
    while (!(await this.#probe(agent, service))) {
      if (performance.now() - began > RECOVERY_MS) return this.#ledger.countLost(`after ${fault}: no flow ${agent} → ${service} within ${RECOVERY_MS / 1000} s`);
      await pause(PROBE_GAP_MS);
    }
  }
}

/** Agents with listeners and the TCP services they reach, as far as a fault touches them. */
const pairsIn = ({ agents, connectors, services }: Scope): [string, string][] =>
  AGENTS.filter((agent) => agents?.includes(agent) ?? true).flatMap((agent) =>
    SERVICES.filter(({ name, protocol, connector }) => protocol === 'tcp' && name !== 'nowhere' && (services?.includes(name) ?? true) && (connectors?.includes(connector) ?? true)).map(
      ({ name }): [string, string] => [agent, name],
    ),
  );

const firstLine = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n', 1).join('');

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.max(0, ms));
    signal?.addEventListener('abort', done);
  });
