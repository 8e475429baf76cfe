// The soak's users: each does one flow after the other with one agent and service, as its plan says, until told to stop.

import { spawn } from 'node:child_process';
import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { derivedSeed, flowPlans, type FlowPlan } from './flow-plan.js';
import type { FlowLedger } from './flow-ledger.js';
import { encodeHeader, clientSide, runClient } from './flow-peers.js';
import { FlowSide } from './flow-side.js';
import { AGENTS, ONE_SHOT_AGENT, SERVICES, type SoakOverlay } from './soak-overlay.js';
import { runUdpClient } from './udp-peers.js';

export interface UserCounts {
  udpFlows: number;
  udpSent: number;
  udpAnswered: number;
  udpBytes: number;
}

/** For each agent and TCP service. */
const USERS_PER_PAIR = 2;
const POLL_MS = 50;
const UDP_DATAGRAMS = 60;
const NOWHERE = SERVICES.findIndex(({ name }) => name === 'nowhere');
const ONE_SHOT_GAP_MS = 1_500;

export interface UsersInit {
  readonly overlay: SoakOverlay;
  readonly ledger: FlowLedger;
  readonly seed: number;
  /** Bound of the silences within a flow, ms. */
  readonly maxPauseMs: number;
}

export class Users {
  readonly counts: UserCounts = { udpFlows: 0, udpSent: 0, udpAnswered: 0, udpBytes: 0 };
  readonly #overlay: SoakOverlay;
  readonly #ledger: FlowLedger;
  readonly #seed: number;
  readonly #maxPauseMs: number;
  #nextUdpClient = 1;

  constructor({ overlay, ledger, seed, maxPauseMs }: UsersInit) {
    this.#overlay = overlay;
    this.#ledger = ledger;
    this.#seed = seed;
    this.#maxPauseMs = maxPauseMs;
  }

  /** Resolves when every user has finished the flow it was at when `signal` was aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const users: Promise<void>[] = [];
    for (const agent of AGENTS) {
      SERVICES.forEach(({ name, protocol }, service) => {
        if (service === NOWHERE) return;
        if (protocol === 'udp') users.push(this.#udpUser(agent, service, signal));
        else for (let n = 0; n < USERS_PER_PAIR; n++) users.push(this.#tcpUser(agent, service, `${agent} ${name} ${n}`, signal));
      });
    }
    users.push(this.#oneShotUser(signal));
    await Promise.all(users);
  }

  /** One small flow outside the plan; whether it came through whole. */
  async probe(agent: string, service: string): Promise<boolean> {
    const port = this.#overlay.port(agent, service);
    if (port === undefined) return false;
    const index = SERVICES.findIndex(({ name }) => name === service);
    const flow = this.#ledger.begin(agent, service, SERVICES[index]!.connector, PROBE);
    // It may fail: that is what it is for.
    flow.disturbances.push({ fault: 'probe', blindEnd: undefined });
    await runClient(this.#ledger, flow, index, port);
    return flow.clientEnd?.ending === 'end';
  }

  async #tcpUser(agent: string, service: number, name: string, signal: AbortSignal): Promise<void> {
    for (const plan of flowPlans(derivedSeed(this.#seed, name), this.#maxPauseMs)) {
      await sleep(plan.thinkMs);
      const target = plan.kind === 'refused' ? NOWHERE : service;
      const port = await this.#whenUp(agent, target, signal);
      if (port === undefined) return;
      const { name: serviceName, connector } = SERVICES[target]!;
      const flow = this.#ledger.begin(agent, serviceName, connector, plan);
      await runClient(this.#ledger, flow, target, port);
    }
  }

  async #udpUser(agent: string, service: number, signal: AbortSignal): Promise<void> {
    const { name, connector } = SERVICES[service]!;
    for (let round = 0; ; round++) {
      const port = await this.#whenUp(agent, service, signal);
      if (port === undefined) return;
      const client = this.#nextUdpClient++;
      // Not a TCP flow, but faults touch it in the same way.
      const flow = this.#ledger.begin(agent, name, connector, UDP_PLAN);
      const { sent, answered, bytes, faults } = await runUdpClient(client, service, port, UDP_DATAGRAMS, derivedSeed(this.#seed, `${agent} ${name} ${round}`));
      this.#ledger.drop(flow);
      for (const fault of faults) this.#ledger.countLost(fault);
      this.counts.udpFlows++;
      this.counts.udpSent += sent;
      this.counts.udpAnswered += answered;
      this.counts.udpBytes += bytes;
    }
  }

  /** `ztna-agent connect`: a process for each flow. */
  async #oneShotUser(signal: AbortSignal): Promise<void> {
    const service = 0;
    const { name, connector } = SERVICES[service]!;
    for (const plan of flowPlans(derivedSeed(this.#seed, ONE_SHOT_AGENT), 1_000)) {
      await sleep(ONE_SHOT_GAP_MS);
      if (signal.aborted) return;
      // Standard input and output cannot be reset; and a stall is a pipe's own.
      if (plan.kind !== 'exchange' && plan.kind !== 'answer') continue;
      const flow = this.#ledger.begin(ONE_SHOT_AGENT, name, connector, plan);
      const { socket, exited } = spawnConnect(this.#overlay.connectCommand(name));
      socket.write(encodeHeader(flow.id, service));
      const side = new FlowSide(clientSide(flow, socket as unknown as Socket, () => void (flow.lastProgress = performance.now())));
      this.#ledger.attach(flow, 'client', side);
      const end = await side.over;
      const exit = await exited;
      if (end.ending === 'end' && exit.code !== 0) this.#ledger.countLost(`connect of flow ${flow.id} ended whole, and yet with ${exit.code}: ${exit.stderr}`);
    }
  }

  /** The port of an agent's listener, once the agent is up; undefined when the run is over. */
  async #whenUp(agent: string, service: number, signal: AbortSignal): Promise<number | undefined> {
    for (;;) {
      if (signal.aborted) return undefined;
      const port = this.#overlay.port(agent, SERVICES[service]!.name);
      if (port !== undefined) return port;
      await sleep(POLL_MS);
    }
  }
}

const PROBE: FlowPlan = { kind: 'answer', up: 1, down: 1, abortAfter: 0, pauseMs: 0, thinkMs: 0 };
const UDP_PLAN: FlowPlan = { ...PROBE, kind: 'exchange' };

interface Connect {
  /** Standard input and output of the process; destroyed with an error when it fails. */
  readonly socket: Duplex;
  readonly exited: Promise<{ code: number | NodeJS.Signals; stderr: string }>;
}

const spawnConnect = (command: readonly string[]): Connect => {
  const [file, ...args] = command;
  const child = spawn(file!, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const { stdin, stdout } = child;
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<{ code: number | NodeJS.Signals; stderr: string }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code: code ?? signal!, stderr: stderr.trim() }));
  });
  stdin.on('error', () => undefined); // it may end before it has read everything
  // A pipe cannot say that it was cut off: the exit code does, and comes after the pipe's end.
  const socket = new Duplex({
    allowHalfOpen: true,
    read: () => void stdout.resume(),
    write: (chunk: Buffer, _encoding, done) => void stdin.write(chunk, () => done()),
    final: (done) => void stdin.end(done),
    destroy: (error, done) => {
      child.kill('SIGKILL');
      done(error);
    },
  });
  stdout.on('data', (chunk: Buffer) => {
    if (!socket.push(chunk)) stdout.pause();
  });
  void exited.then(({ code }) => {
    if (code === 0) socket.push(null);
    else socket.destroy(Object.assign(new Error(stderr), { code: `exit ${code}: ${stderr.trim()}` }));
  });
  const resets = { destroySoon: () => void socket.end(), resetAndDestroy: () => void socket.destroy() };
  return { socket: Object.assign(socket, resets), exited };
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
