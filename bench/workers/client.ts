// A client of the relay for main.ts: an agent that sends datagrams at a fixed rate, or a connector, registered with every
// worker, that counts them. One JSON object per line on standard output.
//
//   node client.js agent|connector DIRECTORY NAME RELAY_PORT DATAGRAMS_PER_SECOND

import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { AgentMachine, ConnectorMachine, createLogger, loadDocument, loadTlsMaterial, parseRegistrationKey, RelayLink, SessionCarrier, type AgentSessionCommand, type ClientSettings, type ConnectorSessionCommand } from '@ztna/protocol';

export const SERVICE = 'load';
const PACKET_BYTES = 1200;
const RUN_PACKETS = 20;
const REPORT_MS = 100;

const [role, directory, name, port, rateText] = process.argv.slice(2) as ['agent' | 'connector', string, string, string, string];
const rate = Number(rateText);
const file = (suffix: string): string => join(directory, `${name}.${suffix}`);
const report = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const client: ClientSettings = {
  tls: loadTlsMaterial({ ca: join(directory, 'ca.crt'), certificate: file('crt'), key: file('key') }, { role }),
  registrationKey: loadDocument(file('regkey'), parseRegistrationKey, { secret: true }).key,
  relays: [{ name: 'relay-1', host: '127.0.0.1', port: Number(port) }],
  udp: 'auto',
};
const carrier = new SessionCarrier();
let received = 0;
carrier.start({ onPacket: () => void received++, onBatchEnd: () => undefined });
// What the link logs, as it is: `registered` says with which worker.
const log = createLogger({ name, destination: { write: (line) => process.stdout.write(line) } });
const shared = { client, udp: client.udp, carrier, log };

/** Sends what is due each millisecond, and never catches up by more than 20 ms. */
const blast = (host: string): void => {
  const run = Buffer.alloc(RUN_PACKETS * PACKET_BYTES, 7);
  let due = 0;
  let last = performance.now();
  setInterval(() => {
    const now = performance.now();
    due = Math.min(due + ((now - last) / 1000) * rate, rate / 50);
    last = now;
    while (due >= 1) {
      const packets = Math.min(RUN_PACKETS, Math.floor(due));
      carrier.sendRun(run, packets * PACKET_BYTES, PACKET_BYTES, host);
      due -= packets;
    }
  }, 1);
};

const startAgent = (): void => {
  const link = new RelayLink<AgentSessionCommand, AgentMachine>({
    ...shared,
    services: [],
    createMachine: (init) => new AgentMachine(init),
    perform: (command) => {
      if (command.kind !== 'sessionOpened') return;
      blast(carrier.addSession(command.session, link.outer(command.link)!).host);
      report({ ready: true });
    },
  });
  link.start();
  link.machine.openSession(SERVICE, performance.now());
  link.pump();
};

const startConnector = (): void => {
  const link = new RelayLink<ConnectorSessionCommand, ConnectorMachine>({
    ...shared,
    services: [SERVICE],
    createMachine: (init) => new ConnectorMachine({ ...init, services: [SERVICE] }),
    perform: (command) => {
      if (command.kind === 'sessionIncoming') carrier.addSession(command.session, link.outer(command.link)!);
    },
  });
  link.start();
  setInterval(() => report({ received }), REPORT_MS);
};

if (role === 'agent') startAgent();
else startConnector();
