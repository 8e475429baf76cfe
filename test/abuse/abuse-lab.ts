// Where attacks happen: one overlay of real processes with the relay's default limits, an innocent transfer
// through it, and the attackers' papers and addresses. The limits are per source address, so every attack
// comes from addresses of its own in 127/8.

import { setTimeout as sleep } from 'node:timers/promises';
import type { HostileClient, HostileClientInit } from '../harness/hostile-client.js';
import { dialAs, joinAs } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN, type LabOwner } from '../harness/lab.js';
import { createAuthority, type Authority } from '@ztna/certs';
import { ManagedProcess } from '../harness/managed-process.js';
import type { Counters } from './attack.js';
import { InnocentTransfer } from './innocent-transfer.js';

export type Intensity = 'short' | 'full';

/** How long an attack lasts, and how long the speed without it is measured, ms. */
const TIMES = { short: { attack: 500, baseline: 250 }, full: { attack: 2_500, baseline: 700 } } as const;
/** Longer than any attack lasts: a newcomer who waits this long was kept out. */
const NEWCOMER_TIMEOUT_MS = 5_000;

/** Of attacks that go by amount. */
const MAX_ATTACK_MS = 10_000;
/** A third of the outer idle timeout. */
const KEEPALIVE_MS = 10_000;

/** Services: `web` is the innocent one, `ssh` the hostile connector's own. */
const POLICY = [
  { allow: ['alice', 'bob', 'mallory'], services: ['web'] },
  { allow: ['mallory', 'trudy', 'carol'], services: ['ssh', 'mute'] },
];

export class AbuseLab {
  readonly intensity: Intensity;
  /** Milliseconds since the Unix epoch. */
  readonly startedAt = Date.now();
  readonly lab: Lab;
  /** Signs whatever it is asked; the relay trusts it beside the lab's own. */
  readonly lax: Authority;
  /** A CA the relay does not trust. */
  readonly stranger = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'foreign CA' });
  readonly #relay: ManagedProcess;
  readonly innocent: InnocentTransfer;
  #nextSource = 0;
  readonly #afterwards: (() => unknown)[] = [];

  private constructor(intensity: Intensity, lab: Lab, lax: Authority, relay: ManagedProcess, innocent: InnocentTransfer) {
    this.intensity = intensity;
    this.lab = lab;
    this.lax = lax;
    this.#relay = relay;
    this.innocent = innocent;
  }

  static async start(owner: LabOwner, intensity: Intensity): Promise<AbuseLab> {
    const lab = Lab.create(owner);
    const lax = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'lax CA', nameConstraints: false });
    lab.write('ca.crt', lab.authority.certificatePem + lax.certificatePem);
    for (const name of ['alice', 'bob', 'mallory', 'trudy', 'carol']) lab.enrol('agent', name);
    lab.enrol('connector', 'con-1', ['web']);
    lab.enrol('connector', 'rogue', ['ssh']);
    lab.enrol('connector', 'silent', ['mute']);
    lab.registrationKey('rogue-any', 'connector', [], { scope: { role: 'connector', identities: '*', services: '*' } });
    const innocent = await InnocentTransfer.start(lab);
    const relay = await lab.startRelay(POLICY, { extra: { log: { level: 'info' }, drainTimeout: '1s' } });
    await lab.startConnector('con-1', { web: { backend: `127.0.0.1:${innocent.port}` } });
    const alice = await lab.startAgent('alice', [{ service: 'web' }]);
    await innocent.begin(alice.port('web'));
    return new AbuseLab(intensity, lab, lax, relay, innocent);
  }

  get relay(): ManagedProcess {
    return this.#relay;
  }

  get port(): number {
    return this.lab.relayPort;
  }

  get attackMs(): number {
    return TIMES[this.intensity].attack;
  }

  get baselineMs(): number {
    return TIMES[this.intensity].baseline;
  }

  /** An address nobody has used yet, 127.1.0.1 and on. */
  source(): string {
    const n = ++this.#nextSource;
    return `127.1.${Math.floor(n / 250)}.${1 + (n % 250)}`;
  }

  /** Handshake done, nothing said. From an address of its own unless told; closed after the attack. */
  async dial(name: string, extra: Partial<HostileClientInit> = {}): Promise<HostileClient> {
    return this.keep(await dialAs(this.lab, name, { from: this.source(), ...extra }));
  }

  /** Greeted and registered. */
  async join(role: 'agent' | 'connector', name: string, services: readonly string[] = [], extra: Partial<HostileClientInit> = {}): Promise<HostileClient> {
    return this.keep(await joinAs(this.lab, role, name, services, { from: this.source(), ...extra }));
  }

  /** For `prepare`: the connection outlives the attacks that come before; `keep` it when its own is run. */
  async dialEarly(name: string, extra: Partial<HostileClientInit> = {}): Promise<HostileClient> {
    const client = await dialAs(this.lab, name, { from: this.source(), ...extra });
    const timer = setInterval(() => client.connection.ping(), KEEPALIVE_MS).unref();
    void client.ended.then(() => clearInterval(timer));
    return client;
  }

  /** A program that ends with the lab at the latest. */
  spawn(command: string, args: readonly string[]): ManagedProcess {
    return this.lab.keep(new ManagedProcess(command, args, { cwd: this.lab.directory, stdin: true }));
  }

  keep<T extends { close(): unknown }>(thing: T): T {
    this.#afterwards.push(() => thing.close());
    return thing;
  }

  async cleanUp(): Promise<void> {
    for (let end; (end = this.#afterwards.pop()); ) await end();
  }

  /**
   * Yields until the attack has lasted long enough and, if `isEnough` is given, that says so too, within ten seconds.
   * `pauseMs` between two rounds; 0: one turn of the event loop.
   */
  async *rounds(pauseMs = 0, isEnough: () => boolean = () => true): AsyncGenerator<number, void, void> {
    const start = performance.now();
    const goesOn = (): boolean => {
      const lasted = performance.now() - start;
      return lasted < this.attackMs || (lasted < MAX_ATTACK_MS && !isEnough());
    };
    for (let round = 0; goesOn(); round++) {
      yield round;
      await (pauseMs > 0 ? sleep(pauseMs) : new Promise((resolve) => setImmediate(resolve)));
    }
  }

  /** Resolves with nothing after as long as an answer may take on a loaded machine. */
  patience(): Promise<undefined> {
    return sleep(3_000, undefined, { ref: false });
  }

  /** Resolves `ms` milliseconds after the lab has started. */
  async sinceStart(ms: number): Promise<void> {
    await sleep(Math.max(0, this.startedAt + ms - Date.now()));
  }

  /** Somebody new connects and registers, properly. Resolves with the milliseconds it took, or rejects. */
  async newcomer(): Promise<number> {
    const from = performance.now();
    const arrival = joinAs(this.lab, 'agent', 'bob', [], { from: this.source() });
    const late = sleep(NEWCOMER_TIMEOUT_MS).then(() => {
      throw new Error(`not in after ${NEWCOMER_TIMEOUT_MS} ms`);
    });
    const closed = arrival.then((client) => client.close());
    closed.catch(() => undefined);
    late.catch(() => undefined);
    await Promise.race([arrival, late]);
    return performance.now() - from;
  }

  /** Ends every process, clients first, and returns what the relay counted. */
  async stop(): Promise<Counters> {
    await this.lab.stop();
    const stopped = this.#relay.events.find(({ event }) => event === 'stopped');
    if (!stopped) return {};
    const { datagrams, packetDrops } = stopped as unknown as { datagrams: { dropped: Record<string, number> }; packetDrops: Record<string, number> };
    const named = (prefix: string, counts: Record<string, number>): [string, number][] => Object.entries(counts).map(([reason, count]) => [`${prefix}.${reason}`, count]);
    return Object.fromEntries([...named('datagram', datagrams.dropped), ...named('packet', packetDrops)]);
  }
}
