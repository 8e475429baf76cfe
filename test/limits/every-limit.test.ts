// Every key of `limits:`, driven past its bound at a real relay: the metric counts it under the key's own name, and a
// neighbour who keeps within it goes on. A key without a case here does not compile.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { openPlainSocket, relayDnsName, ResetKey, type DatagramSocket } from '@ztna/protocol';
import { ShapedSocket } from '@ztna/protocol/testing';
import { LIMIT_NAMES, limitReached, type LimitName } from '@ztna/intermediate-server';
import { FrameForge } from '../abuse/hostile/frame-forge.js';
import * as frames from '../abuse/hostile/frames.js';
import { HostileClient, type HostileClientInit } from '../harness/hostile-client.js';
import { dialAs, goodToken, joinAs, openPair, readCredentials } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { startRelayHere, type RelayHere, type RelayHereInit } from '../harness/relay-here.js';
import { eventually } from '../quic/eventually.js';

/** The hostile one's address; connector and neighbour have others. */
const FROM = '127.0.0.3';
const FLOOD_BYTES = 1000;

interface Cast extends RelayHere {
  /** Has what leads to this port take a slow link; there is none but where `slow` says so. */
  readonly slowDown?: (port: number) => void;
  readonly lab: Lab;
  readonly connector: HostileClient;
  /** The neighbour. */
  readonly alice: HostileClient;
  /** Keeps a client until the test is over. */
  readonly keep: (client: Promise<HostileClient>) => Promise<HostileClient>;
  /** As mallory: a handshake begun, and one done, greeted and registered. */
  readonly dial: (extra?: Partial<HostileClientInit>) => Promise<HostileClient>;
  readonly join: () => Promise<HostileClient>;
  /** A datagram of the neighbour's arrives. */
  readonly neighbourSends: () => Promise<void>;
}

interface Case extends Pick<RelayHereInit, 'adjust'> {
  /** What is under `limits:`. */
  readonly limits: object;
  /** Makes somebody meet the limit; that it was met is seen by the metric. */
  readonly exceed: (cast: Cast) => Promise<unknown>;
  /** What leads to mallory takes a slow link. */
  readonly slow?: boolean;
}

const RARELY = { perSecond: 1, burst: 1 };

const twice = async ({ dial }: Cast): Promise<void> => void (await Promise.all([dial(), dial()]));

/** Sends Initials and nothing more: its handshake stays half open. */
const half = ({ dial }: Cast): Promise<HostileClient> => dial({ wrapSocket: (socket) => new MuteSocket(socket, 2) });

/** Datagrams for mallory, who is behind a slow link, over as many sessions. */
const floodMallory = async ({ join, connector, slowDown }: Cast, sessions: number): Promise<void> => {
  const mallory = await join();
  const ends = [];
  for (let n = 0; n < sessions; n++) ends.push((await openPair(mallory, connector)).connectorEnd);
  slowDown?.(mallory.localPort);
  for (let n = 0; n < 600; n++) connector.sendSessionDatagram(ends[n % sessions]!, Buffer.alloc(FLOOD_BYTES));
};

const CASES: Readonly<Record<LimitName, Case>> = {
  connections: { limits: { connections: 3 }, exceed: twice },
  'source.handshakes': { limits: { source: { handshakes: RARELY } }, exceed: twice },
  'source.connections': { limits: { source: { connections: 1 } }, exceed: twice },
  'source.remembered': { limits: { source: { remembered: 2 } }, exceed: ({ join }) => join() },
  'source.overflow.handshakes': { limits: { source: { remembered: 2, overflow: { handshakes: RARELY } } }, exceed: twice },
  'source.overflow.connections': { limits: { source: { remembered: 2, overflow: { connections: 1 } } }, exceed: twice },
  'handshake.pending': {
    limits: { handshake: { pending: 1 } },
    exceed: async (cast) => {
      await half(cast);
      await eventually(() => cast.server.outcomes.handshakesUnderWay === 1);
      await cast.dial();
    },
  },
  'handshake.timeout': { limits: { handshake: { timeout: '1s', pressedTimeout: '1s' } }, exceed: half },
  'handshake.pressedTimeout': { limits: { handshake: { pending: 1, timeout: '60s', pressedTimeout: '1s' } }, exceed: half },
  'handshake.validations': { limits: { handshake: { validations: { perSecond: 1, burst: 2 } } }, exceed: (cast) => Promise.all(Array.from({ length: 6 }, () => cast.dial())) },
  'client.registrations': {
    limits: { client: { registrations: RARELY } },
    exceed: async ({ join, lab }) => {
      const mallory = await join();
      for (let n = 0; n < 3; n++) mallory.register(goodToken(lab, 'agent', 'mallory'));
    },
  },
  'client.opens': {
    limits: { client: { opens: RARELY } },
    exceed: async ({ join }) => {
      const mallory = await join();
      for (let request = 1; request <= 3; request++) mallory.open('ssh', request);
    },
  },
  'client.controlMessages': {
    limits: { client: { controlMessages: { perSecond: 20, burst: 20 } } },
    exceed: async ({ join }) => {
      const mallory = await join();
      for (let timestamp = 0; timestamp < 60; timestamp++) mallory.send({ type: 'ping', timestamp });
    },
  },
  'client.datagrams': {
    limits: { client: { datagrams: { perSecond: 10, burst: 50 } } },
    exceed: async ({ join }) => {
      const mallory = await join();
      for (let n = 0; n < 100; n++) mallory.sendDatagram(Buffer.alloc(20));
    },
  },
  'client.bytes': {
    limits: { client: { bytes: { perSecond: 1000, burst: 10_000 } } },
    exceed: async ({ join }) => {
      const mallory = await join();
      for (let n = 0; n < 50; n++) mallory.sendDatagram(Buffer.alloc(FLOOD_BYTES));
    },
  },
  'client.services': {
    limits: { client: { services: 1 } },
    exceed: ({ keep, lab, port }) =>
      keep(dialAs(lab, 'connector-2', { port, from: FROM })).then((greedy) => greedy.hello('connector').register(goodToken(lab, 'connector', 'connector-2', ['ssh', 'web'])).take('registerNack')),
  },
  'client.failedRegistrations': {
    limits: { client: { failedRegistrations: 2 } },
    exceed: async ({ join }) => {
      const mallory = await join();
      for (let n = 0; n < 2; n++) mallory.register(randomBytes(64));
      await mallory.ended;
    },
  },
  'client.helloTimeout': { limits: { client: { helloTimeout: '1s' } }, exceed: async ({ dial }) => (await dial()).ended },
  'client.idleTimeout': {
    limits: {},
    adjust: ({ limits, ...settings }) => ({ ...settings, limits: { ...limits, machine: { ...limits.machine, idleTimeoutMs: 3000 } } }),
    exceed: async ({ dial, alice, connector }) => {
      const others = setInterval(() => [alice, connector].forEach((one) => one.send({ type: 'ping', timestamp: 7 })), 200);
      await (await dial()).ended;
      clearInterval(others);
    },
  },
  'client.unproductiveBytes': {
    limits: { client: { unproductiveBytes: '64KiB' } },
    exceed: async ({ lab, port, keep }) => {
      const forge = await FrameForge.join({ lab, port, join: (role, name, services, init) => keep(joinAs(lab, role, name, services, { port, from: FROM, ...init })) }, 'mallory');
      for (let n = 0; n < 400; n++) forge.send(frames.ping(), Buffer.alloc(1200));
      await forge.client.ended;
    },
  },
  'sessions.total': { limits: { sessions: { total: 1 } }, exceed: async ({ join }) => (await join()).open('ssh').take('openFailed') },
  'sessions.perAgent': {
    limits: { sessions: { perAgent: 1 } },
    exceed: async ({ join, connector }) => {
      const mallory = await join();
      await openPair(mallory, connector);
      await mallory.open('ssh', 2).take('openFailed');
    },
  },
  'sessions.pendingPerAgent': { limits: { sessions: { pendingPerAgent: 1 } }, exceed: async ({ join }) => (await join()).open('ssh', 1).open('ssh', 2).take('openFailed') },
  'sessions.acceptTimeout': { limits: { sessions: { acceptTimeout: '1s' } }, exceed: async ({ join }) => (await join()).open('ssh').take('openFailed') },
  'sessions.connectorsPerOpen': {
    limits: { sessions: { connectorsPerOpen: 1 } },
    exceed: async ({ join, lab, port, keep, connector }) => {
      const second = await keep(joinAs(lab, 'connector', 'connector-2', ['ssh'], { port, from: FROM }));
      const mallory = await join();
      const asked = [connector, second].map(async (one) => {
        const { session } = await one.take('incoming');
        one.send({ type: 'reject', session, code: 'connector_rejected', reason: 'no' });
      });
      mallory.open('ssh');
      await Promise.race(asked);
      await mallory.take('openFailed');
    },
  },
  'sessions.idleTimeout': {
    limits: { sessions: { idleTimeout: '60s' } },
    exceed: async ({ join, connector, server, neighbourSends }) => {
      await openPair(await join(), connector);
      // Looks are 30 s apart: the machine is told that the time has come.
      const began = performance.now();
      for (let look = 1; look <= 3; look++) {
        await neighbourSends();
        server.machine.handleTimeout(began + look * 31_000);
        server.pump();
      }
    },
  },
  'queues.datagrams': { limits: { queues: { datagrams: 50 } }, slow: true, exceed: (cast) => floodMallory(cast, 1) },
  'queues.bytes': { limits: { queues: { bytes: '32KiB' } }, slow: true, exceed: (cast) => floodMallory(cast, 1) },
  'queues.total': { limits: { queues: { bytes: '128KiB', total: '128KiB' } }, slow: true, exceed: (cast) => floodMallory(cast, 1) },
  'queues.flows': { limits: { queues: { flows: 1 } }, slow: true, exceed: (cast) => floodMallory(cast, 2) },
  'restart.resets': {
    limits: { restart: { resets: RARELY } },
    exceed: async ({ settings, port }) => {
      const socket = await openPlainSocket({ host: FROM, port: 0 });
      const stray = Buffer.concat([Buffer.of(0x40), ResetKey.derive(settings.tls.keyPem).firstId(), randomBytes(100)]);
      for (let n = 0; n < 5; n++) socket.sendRun(stray, stray.length, stray.length, '127.0.0.1', port);
      await socket.close();
    },
  },
  'restart.promptsPerSecond': {
    limits: { restart: { promptsPerSecond: 1 } },
    exceed: async ({ server }) => {
      const socket = await openPlainSocket({ host: FROM, port: 0 });
      const { port } = socket.local;
      await socket.close();
      server.promptReturn([1, 2, 3].map((n) => ({ role: 'agent', token: String(n).repeat(32), host: FROM, port })));
    },
  },
};

/** A lab for all of them: making keys and certificates is most of a case's time. */
const lab = Lab.create(t);
lab.enrol('connector', 'connector-1', ['ssh']);
lab.enrol('connector', 'connector-2', ['ssh', 'web']);
for (const name of ['alice', 'mallory']) lab.enrol('agent', name);

for (const limit of LIMIT_NAMES)
  void t.test(`limits.${limit}: who goes past it is counted under its name, a neighbour goes on`, async (t) => {
    const { exceed, ...init } = CASES[limit];
    const cast = await start(t, init);
    t.equal(limitReached(cast.server, limit), 0, 'nobody has met it yet');
    await exceed(cast);
    await eventually(() => limitReached(cast.server, limit) > 0);
    await cast.neighbourSends();
    t.notOk(cast.alice.hasEnded || cast.connector.hasEnded);
  });

async function start(t: Test, { limits, adjust, slow }: Omit<Case, 'exceed'>): Promise<Cast> {
  let shaped: ShapedSocket | undefined;
  const relay = await startRelayHere(t, lab, {
    policy: [{ allow: ['alice', 'mallory'], services: ['ssh'] }],
    extra: { limits },
    ...(adjust && { adjust }),
    ...(slow && { wrapSocket: (inner) => (shaped = new ShapedSocket(inner, { bytesPerSecond: 20_000, buffer: 50 })) }),
  });
  const { port } = relay;
  const clients: HostileClient[] = [];
  const keep = async (client: Promise<HostileClient>): Promise<HostileClient> => {
    clients.push(await client);
    return client;
  };
  t.teardown(() => Promise.all(clients.map((client) => client.close())));
  const connector = await keep(joinAs(lab, 'connector', 'connector-1', ['ssh'], { port }));
  const alice = await keep(joinAs(lab, 'agent', 'alice', [], { port, from: '127.0.0.2' }));
  const { agentEnd } = await openPair(alice, connector);
  const serverName = relayDnsName('relay-1', TRUST_DOMAIN);
  const dial = (extra: Partial<HostileClientInit> = {}): Promise<HostileClient> =>
    keep(HostileClient.dial({ port, serverName, credentials: readCredentials(lab, 'mallory'), from: FROM, ...extra }));
  return {
    ...relay,
    ...(shaped && { slowDown: (to: number) => shaped!.shape(to) }),
    lab,
    connector,
    alice,
    keep,
    dial,
    join: () => keep(joinAs(lab, 'agent', 'mallory', [], { port, from: FROM })),
    neighbourSends: async () => {
      const before = connector.datagramsReceived;
      alice.sendSessionDatagram(agentEnd, Buffer.from('fine'));
      await connector.whenDatagrams(before + 1);
    },
  };
}

/** Falls silent after so many packets. */
class MuteSocket implements DatagramSocket {
  readonly #inner: DatagramSocket;
  #left: number;

  constructor(inner: DatagramSocket, packets: number) {
    this.#inner = inner;
    this.#left = packets;
  }

  get local(): DatagramSocket['local'] {
    return this.#inner.local;
  }

  get sendErrors(): number {
    return this.#inner.sendErrors;
  }

  start(...args: Parameters<DatagramSocket['start']>): void {
    this.#inner.start(...args);
  }

  sendRun(...args: Parameters<DatagramSocket['sendRun']>): void {
    if (this.#left-- > 0) this.#inner.sendRun(...args);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
