// A run of the soak from start to end: overlay, baseline, churn, settling, checks, verdict. What users and faults do is
// theirs; what it prints is the caller's.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { FaultRunner } from './faults.js';
import { planFaults } from './fault-plan.js';
import { derivedSeed } from './flow-plan.js';
import { FlowLedger } from './flow-ledger.js';
import { SoakBackend } from './flow-peers.js';
import { IDLE_OUT_MS, SETTLE_MS, whenSettled, type Expectation } from './leak-check.js';
import { MemoryWatch } from './memory-watch.js';
import { Network } from './network.js';
import { ProcessWatch } from './process-watch.js';
import { readStatus, type ProcessStatus } from './process-status.js';
import type { SoakOptions } from './soak-options.js';
import { AGENTS, CONNECTORS, RELAY, SERVICES, SoakOverlay, TARGETS } from './soak-overlay.js';
import { openUdpBackend } from './udp-peers.js';
import { Users } from './users.js';

export interface SoakResult {
  readonly flows: number;
  readonly bytes: number;
  readonly lost: number;
  readonly leaked: number;
  /** What each process logged, kept when something was lost or leaked. */
  readonly logs: string | undefined;
}

/** Longer than the inner idle timeout, if the run is long enough for it. */
const MAX_PAUSE_MS = 70_000;
const PROGRESS_MS = 10_000;
/** A process that has not ended by then holds something open. */
const EXIT_MS = 5_000;

/**
 * @param stopped aborted to give up
 * @returns undefined when given up: a run that was cut short proves nothing
 */
export const runSoak = async (options: SoakOptions, print: (line: string) => void, stopped: AbortSignal): Promise<SoakResult | undefined> => {
  const directory = mkdtempSync(join(tmpdir(), 'ztna-soak-'));
  // Given up, what Ctrl-C did to the processes is no news.
  const run = new SoakRun(options, (line) => void (stopped.aborted || print(line)), directory);
  try {
    const interrupted = new Promise<undefined>((resolve) => stopped.addEventListener('abort', () => resolve(undefined)));
    const result = await Promise.race([run.run(), interrupted]);
    return result && { ...result, logs: result.lost + result.leaked > 0 ? run.keepLogs() : undefined };
  } finally {
    await run.close();
    rmSync(directory, { recursive: true, force: true });
  }
};

class SoakRun {
  readonly #options: SoakOptions;
  readonly #print: (line: string) => void;
  readonly #churnMs: number;
  readonly #lab: Lab;
  readonly #network: Network;
  readonly #ledger: FlowLedger;
  readonly #memory: MemoryWatch;
  readonly #watch: ProcessWatch;
  readonly #closers: (() => Promise<unknown>)[] = [];
  readonly #began = performance.now();

  constructor(options: SoakOptions, print: (line: string) => void, directory: string) {
    this.#options = options;
    this.#print = print;
    this.#churnMs = options.minutes * 60_000;
    this.#lab = Lab.at(directory);
    this.#network = new Network(options);
    this.#ledger = new FlowLedger((what) => print(`lost: ${what}`));
    this.#memory = new MemoryWatch(this.#churnMs);
    this.#watch = new ProcessWatch((what) => this.#ledger.countLost(what));
  }

  async run(): Promise<Omit<SoakResult, 'logs'>> {
    const { seed } = this.#options;
    const overlay = await this.#startOverlay();
    const before = await this.#baseline(overlay);
    const users = new Users({ overlay, ledger: this.#ledger, seed, maxPauseMs: Math.min(MAX_PAUSE_MS, this.#churnMs / 6) });
    const faults = new FaultRunner(overlay, this.#ledger, (agent, service) => users.probe(agent, service));
    const churn = new AbortController();
    const over = churn.signal;
    const timer = setTimeout(() => churn.abort(), this.#churnMs);
    const progress = setInterval(() => this.#printProgress(users, faults), PROGRESS_MS);
    await Promise.all([users.run(over), faults.run(planFaults(derivedSeed(seed, 'faults'), this.#churnMs, TARGETS), over)]);
    await this.#ledger.whenEmpty();
    this.#print(`${this.#elapsed()}: users are done; waiting for what they left behind`);
    const leaks = await this.#findLeaks(overlay, before);
    clearInterval(progress);
    clearTimeout(timer);
    this.#printProgress(users, faults);
    await this.#printNetwork(faults);
    for (const leak of leaks) this.#print(`leaked: ${leak}`);
    const { totals } = this.#ledger;
    return { flows: totals.flows + users.counts.udpFlows, bytes: totals.bytes + users.counts.udpBytes, lost: totals.lost, leaked: leaks.length };
  }

  /** What every process logged, for whoever looks for the cause. */
  keepLogs(): string {
    const directory = mkdtempSync(join(tmpdir(), 'ztna-soak-logs-'));
    this.#watch.all.forEach(({ name, process }, index) => writeFileSync(join(directory, `${name}-${index}.log`), `${process.log}\n`));
    return directory;
  }

  async close(): Promise<void> {
    this.#memory.stop();
    this.#ledger.close();
    this.#watch.stop();
    await this.#lab.stop();
    for (const close of this.#closers) await close();
    await this.#network.close();
  }

  async #startOverlay(): Promise<SoakOverlay> {
    const backends = new Map<string, string>();
    for (const [index, { name, protocol, connector }] of SERVICES.entries()) {
      if (protocol === 'udp') {
        const socket = await openUdpBackend(index, (what) => this.#ledger.countLost(what));
        backends.set(name, `127.0.0.1:${socket.address().port}`);
        this.#closers.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
        continue;
      }
      const backend = await SoakBackend.open(this.#ledger, index, connector);
      backends.set(name, backend.address);
      // Its port is free again, and nobody else's for as long as the kernel goes round.
      if (name === 'nowhere') await backend.close();
      else this.#closers.push(() => backend.close());
    }
    const overlay = new SoakOverlay(this.#lab, this.#network, backends, (name, process) => {
      this.#memory.add(name, process);
      this.#watch.add(name, process);
    });
    await overlay.start();
    return overlay;
  }

  async #baseline(overlay: SoakOverlay): Promise<ReadonlyMap<string, ProcessStatus>> {
    const entries = [...overlay.running].map(async ([name, process]) => [name, await readStatus(process)] as const);
    return new Map(await Promise.all(entries));
  }

  /** First the agents with nothing to do, then the rest without agents; then whether each process ends by itself. */
  async #findLeaks(overlay: SoakOverlay, before: ReadonlyMap<string, ProcessStatus>): Promise<string[]> {
    const expect = (name: string, counts: Expectation['counts']): Expectation => ({ name, process: overlay.process(name), before: before.get(name)!, counts });
    const none = { sessions: 0, paths: 0, innerConnections: 0, flows: 0 };
    const leaks: string[] = [];
    if (this.#options.idleOut) leaks.push(...(await whenSettled(AGENTS.map((name) => expect(name, { ...none, pendingOpens: 0 })), IDLE_OUT_MS)));
    for (const name of AGENTS) leaks.push(...(await this.#stop(name, overlay.process(name))));
    const clients = CONNECTORS.length;
    leaks.push(
      ...(await whenSettled(
        [
          expect(RELAY, { connections: clients, identities: clients, registeredConnectors: clients, sessions: 0, pendingSessions: 0, sessionEnds: 0, quicConnections: clients }),
          ...CONNECTORS.map((name) => expect(name, none)),
        ],
        SETTLE_MS,
      )),
    );
    this.#memory.stop();
    leaks.push(...this.#memory.faults());
    for (const name of [...CONNECTORS, RELAY]) leaks.push(...(await this.#stop(name, overlay.process(name))));
    return leaks;
  }

  /** Nothing but what was leaked keeps a process after its orderly stop. */
  async #stop(name: string, process: ManagedProcess): Promise<string[]> {
    const started = performance.now();
    const exit = await process.stop();
    const took = performance.now() - started;
    if (exit !== 0) return [`${name}: ended with ${exit} on SIGTERM`];
    return took > EXIT_MS ? [`${name}: took ${Math.round(took)} ms to end`] : [];
  }

  #printProgress(users: Users, faults: FaultRunner): void {
    const { complete, aborted, refused, cut, overdue, lost, bytes } = this.#ledger.totals;
    const { udpFlows, udpSent, udpAnswered, udpBytes } = users.counts;
    const did = Object.entries(faults.counts).filter(([, count]) => count > 0).map(([kind, count]) => `${count} ${kind}`);
    const memory = Object.entries(this.#memory.now()).map(([name, mib]) => `${name} ${mib}`);
    this.#print(
      `${this.#elapsed()}: TCP ${complete} whole, ${aborted} aborted, ${refused} refused, ${cut} cut by faults, ${overdue} resets that never came, ${this.#ledger.open} open; ` +
        `UDP ${udpFlows} flows, ${udpAnswered}/${udpSent} answered; ${mib(bytes + udpBytes)} MiB; ${lost} lost; faults: ${did.join(', ') || 'none yet'}; MiB: ${memory.join(', ')}`,
    );
  }

  async #printNetwork(faults: FaultRunner): Promise<void> {
    const { packets, lost, late, twice, rebinds } = await this.#network.stats();
    this.#print(`network: ${packets} packets, ${lost} lost, ${late} reordered, ${twice} duplicated, ${rebinds} rebindings`);
    const slowest = Object.entries(faults.slowest).map(([kind, ms]) => `${kind} ${(ms / 1000).toFixed(1)} s`);
    if (slowest.length > 0) this.#print(`slowest recovery: ${slowest.join(', ')}`);
    const growth = Object.entries(this.#memory.growth()).map(([name, mib]) => `${name} ${mib} MiB`);
    if (growth.length > 0) this.#print(`memory since the first third: ${growth.join(', ')}`);
  }

  #elapsed(): string {
    return `${Math.round((performance.now() - this.#began) / 1000)} s`;
  }
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
