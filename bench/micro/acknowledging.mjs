// What acknowledging costs a relay's QUIC: endpoints of four agents, a relay and a connector in one process, packets moved
// by hand, only the relay's turns timed. No kernel: beside the time, the packets and turns it would have had to carry.
//
//   node bench/micro/acknowledging.mjs [batch sizes …]

import { performance } from 'node:perf_hooks';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { createQuicConfig, Endpoint, OUTER_PROFILE } from '@ztna/protocol';

const AGENTS = 4;
const ROUNDS = 1500;
const DATAGRAM = Buffer.alloc(1216, 'd');
const batches = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 3, 8, 30];

const authority = createAuthority({ trustDomain: 'bench.test' });
const configOf = (role, name) => {
  const { certificatePem, keyPem } = issueCertificate(authority, { role, name, services: role === 'connector' ? ['load'] : [] });
  return createQuicConfig({ ...OUTER_PROFILE, congestionControl: 'reno', caPem: Buffer.from(authority.certificatePem), certificatePem: Buffer.from(certificatePem), keyPem: Buffer.from(keyPem) });
};

/** In memory: what is sent stays in `outbox` until it is taken. */
class HandSocket {
  sendErrors = 0;
  outbox = [];
  runs = 0;
  constructor(host) {
    this.local = { host, port: 1 };
  }
  start(receiver) {
    this.receiver = receiver;
  }
  sendRun(run, length, segment, host) {
    this.runs++;
    for (let at = 0; at < length; at += segment) this.outbox.push({ packet: Buffer.from(run.subarray(at, Math.min(at + segment, length))), host });
  }
  feed(packets, { host, port }) {
    for (const { packet } of packets) this.receiver.onPacket(packet, host, port);
    this.receiver.onBatchEnd();
  }
  take() {
    return this.outbox.splice(0);
  }
  close() {
    return Promise.resolve();
  }
}

const relaySocket = new HandSocket('10.0.0.1');
let connectorAtRelay;
const relay = new Endpoint({
  socket: relaySocket,
  server: {
    config: configOf('relay', 'relay-1'),
    retry: false,
    maxConnections: 100,
    accept: () => ({
      onEstablished: (connection) => void (connectorAtRelay ??= connection),
      onDatagram: (_connection, payload, length) => void connectorAtRelay.sendDatagram(payload.subarray(0, length)),
      onEnd: () => undefined,
    }),
  },
});

const sockets = new Map();
const clientOf = async (role, name, host) => {
  const socket = new HandSocket(host);
  sockets.set(host, socket);
  const endpoint = new Endpoint({ socket });
  const client = { socket, received: 0 };
  client.connection = endpoint.connect(relay.local, 'relay-1.relay.bench.test', configOf(role, name), {
    onEstablished: () => void (client.established = true),
    onDatagram: () => void client.received++,
    onEnd: ({ code, reason }) => console.error(name, code, reason),
  });
  while (!client.established || !connectorAtRelay) await exchange();
  return client;
};

const spent = { ms: 0, packetsIn: 0, turns: 0 };
const feedRelay = (packets, from) => {
  const began = performance.now();
  relaySocket.feed(packets, from);
  spent.ms += performance.now() - began;
  spent.packetsIn += packets.length;
  spent.turns++;
};

/** Until nothing is under way; each client's packets are one batch at the relay. */
const settle = () => {
  for (let moved = true; moved; ) {
    moved = false;
    for (const socket of sockets.values()) {
      if (socket.outbox.length === 0) continue;
      moved = true;
      feedRelay(socket.take(), socket.local);
      deliver();
    }
  }
};

const deliver = () => {
  const byHost = new Map();
  for (const sent of relaySocket.take()) (byHost.get(sent.host) ?? byHost.set(sent.host, []).get(sent.host)).push(sent);
  for (const [host, packets] of byHost) sockets.get(host).feed(packets, relay.local);
};

const exchange = async () => {
  await new Promise(setImmediate);
  settle();
  deliver();
};

const connector = await clientOf('connector', 'connector-1', '10.0.1.1');
const agents = [];
for (let n = 1; n <= AGENTS; n++) agents.push(await clientOf('agent', `agent-${n}`, `10.0.2.${n}`));
for (let n = 0; n < 5; n++) await exchange();

const rows = [];
for (const batch of batches) {
  const costs = [];
  let total;
  for (let round = 0; round < ROUNDS; round++) {
    if (round === ROUNDS / 3) {
      total = { relayed: -connector.received, packetsIn: -spent.packetsIn, turns: -spent.turns, runs: -relaySocket.runs };
      costs.length = 0;
    }
    const before = { received: connector.received, ms: spent.ms };
    for (const { connection, socket } of agents) {
      for (let n = 0; n < batch; n++) connection.sendDatagram(DATAGRAM);
      connection.flush();
      if (socket.outbox.length > 0) settle();
    }
    if (connector.received > before.received) costs.push(((spent.ms - before.ms) * 1000) / (connector.received - before.received));
    if (round % 20 === 0) await exchange();
  }
  const relayed = total.relayed + connector.received;
  costs.sort((a, b) => a - b);
  rows.push({
    batch,
    relayed,
    'µs/datagram': Number(costs[costs.length >> 1].toFixed(2)),
    'packets in': Number(((total.packetsIn + spent.packetsIn) / relayed).toFixed(3)),
    'runs out': Number(((total.runs + relaySocket.runs) / relayed).toFixed(3)),
    turns: Number(((total.turns + spent.turns) / relayed).toFixed(3)),
  });
}
console.table(rows);
process.exit(0);
