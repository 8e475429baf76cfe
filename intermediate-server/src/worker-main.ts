// One worker of a relay: a process of its own on one socket of the shared port. Reads its configuration by itself and
// shares nothing with its siblings. Started by relay-worker.ts, with arguments CONFIG INDEX COUNT.

import { adoptDatagramSocket, createLogger, processMetrics, runProgram, takeSnapshot, type MetricFamily } from '@ztna/protocol';
import { loadRelaySettings } from './relay-config.js';
import { relayMetrics } from './relay-metrics.js';
import { openRelayProcess, type RelayProcess } from './relay-process.js';
import { WORKER_SOCKET_FD, type FromWorker, type ToWorker } from './worker-messages.js';

const NAME = 'intermediate-server';

/** Those that a terminal or a service manager sends to a whole group: the parent says what is to be done. */
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
// The parent was killed. As if this one were: the next start finds the journal and calls the clients back.
process.on('disconnect', () => process.exit(1));

const send = (message: FromWorker): void => void process.send?.(message);

const run = async (config: string, index: number, count: number): Promise<void> => {
  const settings = loadRelaySettings(config);
  const log = createLogger({ name: NAME, ...settings.log }).child({ worker: index });
  const socket = await adoptDatagramSocket(WORKER_SOCKET_FD, settings.listen, { mode: settings.udp });
  const relay = await openRelayProcess({ config, settings, socket, log, worker: { index, count } });
  const families = settings.health?.metrics ? [...processMetrics(NAME, log).families, ...relayMetrics(relay)] : [];
  await relay.reload.start();
  serveParent(relay, families);
  send({ kind: 'ready' });
};

const serveParent = ({ drain }: RelayProcess, families: readonly MetricFamily[]): void => {
  let stopping = false;
  let hurry = (): void => undefined;
  const hurried = new Promise<void>((resolve) => (hurry = resolve));
  process.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'ping':
        return send({ kind: 'pong' });
      case 'read':
        return send({ kind: 'metrics', request: message.request, families: takeSnapshot(families) });
      case 'hurry':
        return hurry();
      case 'stop':
        if (stopping) return;
        stopping = true;
        void drain(hurried).then(leave);
    }
  });
};

/** With its work done, nothing but the channel holds the process open. */
const leave = (): void => {
  process.removeAllListeners('disconnect');
  process.disconnect?.();
};

const [config = '', index, count] = process.argv.slice(2);
await runProgram(NAME, () => run(config, Number(index), Number(count)));
// Without a relay there is nothing to wait for; the parent starts it again.
if (process.exitCode) process.exit();
