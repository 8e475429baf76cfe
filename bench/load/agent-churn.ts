// Agents that come, use one flow and go, all in this process: how long each takes until an echo has answered through its
// first flow, from nothing or from when it was registered.

import { once } from 'node:events';
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, agentSchema, openTcpListener } from '@ztna/agent';
import { createLogger, loadClientSettings, loadConfig } from '@ztna/protocol';
import { median } from '../report/statistics.js';
import { answerRequests, report, settings } from './requests.js';

export interface AgentChurnSettings {
  /** agent.yaml of each agent that may be there at a time. */
  readonly configs: readonly string[];
  readonly service: string;
}

export interface ChurnRequest {
  readonly id: number;
  readonly milliseconds: number;
  /** Agents at a time. */
  readonly concurrency: number;
  /** Whether the clock starts when the agent is registered, not when it is made. */
  readonly isCold: boolean;
}

const PATIENCE_MS = 10_000;
const POLL_MS = 0.2;

const { configs, service } = settings<AgentChurnSettings>();
const log = createLogger({ name: 'churn', level: 'silent', format: 'json' });
const clients = configs.map((path) => loadClientSettings('agent', loadConfig(path, agentSchema).config));

/** @returns ms until the first byte came back */
const visit = async (slot: number, isCold: boolean): Promise<number> => {
  let started = performance.now();
  const agent = new Agent({ ...clients[slot]!, log, services: [service], failFast: true });
  const listener = await openTcpListener({ agent, service, listen: { host: '127.0.0.1', port: 0 }, log });
  try {
    agent.start();
    if (isCold) {
      const deadline = started + PATIENCE_MS;
      while (agent.status().registered !== 1) {
        if (performance.now() > deadline) throw new Error('an agent does not get registered');
        await sleep(POLL_MS);
      }
      started = performance.now();
    }
    const socket = connect({ ...listener.local, noDelay: true });
    socket.write('x');
    await once(socket, 'data', { signal: AbortSignal.timeout(PATIENCE_MS) });
    const took = performance.now() - started;
    socket.destroy();
    return took;
  } finally {
    await listener.close();
    await agent.stop();
  }
};

const churn = async ({ milliseconds, concurrency, isCold }: ChurnRequest): Promise<{ visits: number; perSecond: number; p50: number }> => {
  const times: number[] = [];
  const started = performance.now();
  const slot = async (index: number): Promise<void> => {
    do times.push(await visit(index, isCold));
    while (performance.now() - started < milliseconds);
  };
  await Promise.all(Array.from({ length: concurrency }, (_, index) => slot(index)));
  return { visits: times.length, perSecond: (times.length * 1000) / (performance.now() - started), p50: median(times) };
};

answerRequests(
  () => ({}),
  (request) => {
    const asked = request as unknown as ChurnRequest;
    churn(asked).then(
      (found) => report({ answered: asked.id, failure: null, ...found }),
      (error: Error) => report({ answered: asked.id, failure: error.message }),
    );
  },
);
report({ ready: true });
