// Dialing a relay that is not there, is not one, or means harm.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { issueCertificate } from '@ztna/certs';
import {
  Endpoint, interleaveFamilies, NEXT_ADDRESS_MS, openPlainSocket, OUTER_PROFILE, RelayDriver, SessionCarrier,
  type ControlMessage, type DatagramSocket, type FailureCode, type QuicConfig, type RelayAddress, type RelayDriverInit, type SocketAddress,
} from '@ztna/protocol';
import { agentCertificate, authority, configOf, outerClient, outerServer, TRUST_DOMAIN } from './pki.js';
import { createUdpPair } from './pair.js';
import { eventually } from './eventually.js';
import { Recorder } from './recorder.js';

interface Disconnected {
  readonly code: FailureCode;
  readonly reason: string;
}

/** Dials when told to and records what the driver reports: the part of a client machine that the driver sees. */
class ScriptedMachine {
  readonly disconnects: Disconnected[] = [];
  readonly controls: ControlMessage[] = [];
  readonly heard: { readonly link: number; readonly quicRttMs: number; readonly now: number }[] = [];
  established = 0;
  answered = false;
  readonly commands: unknown[] = [];
  #waiting: (() => void) | undefined;

  dial(relay = 0, link = 0): void {
    this.commands.push({ kind: 'dial', link, relay });
  }

  nextCommand(): unknown {
    return this.commands.shift();
  }

  pollTimeout(): undefined {
    return undefined;
  }

  handleTimeout(): void {
    return undefined;
  }

  handleAnswered(): void {
    this.answered = true;
  }

  handleEstablished(): void {
    this.established++;
  }

  handleHeard(link: number, quicRttMs: number, now: number): void {
    this.heard.push({ link, quicRttMs, now });
  }

  handleControl(_link: number, message: ControlMessage): void {
    this.controls.push(message);
  }

  handleControlFault(): void {
    return undefined;
  }

  handleDisconnected(_link: number, end: Disconnected): void {
    this.disconnects.push(end);
    this.#waiting?.();
  }

  async disconnected(): Promise<Disconnected> {
    if (this.disconnects.length === 0) await new Promise<void>((resolve) => (this.#waiting = resolve));
    return this.disconnects[0]!;
  }
}

const createDriver = (t: Test, relay: Partial<RelayAddress>, options: { config?: QuicConfig; openSocket?: (address: SocketAddress) => Promise<DatagramSocket>; resolve?: () => Promise<SocketAddress[]> } = {}) => {
  const machine = new ScriptedMachine();
  let openSockets = 0;
  const open = options.openSocket ?? openPlainSocket;
  const driver = new RelayDriver({
    machine: machine as unknown as RelayDriverInit<never>['machine'],
    identity: { trustDomain: TRUST_DOMAIN, role: 'agent', name: 'alice' },
    relays: [{ name: 'relay-1', host: '127.0.0.1', port: 4433, ...relay }],
    config: options.config ?? outerClient(),
    carrier: new SessionCarrier(),
    ...(options.resolve ? { resolve: options.resolve } : {}),
    openSocket: async (address) => {
      const socket = await open(address);
      openSockets++;
      const close = socket.close.bind(socket);
      socket.close = () => {
        openSockets--;
        return close();
      };
      return socket;
    },
    perform: () => undefined,
  });
  t.teardown(() => driver.stop());
  return { machine, driver, openSockets: () => openSockets };
};

/** A socket whose packets are handed on if `passes` says so. */
const openTapped = async (address: SocketAddress, passes: () => boolean): Promise<DatagramSocket> => {
  const socket = await openPlainSocket(address);
  const start = socket.start.bind(socket);
  socket.start = (receiver) => start({
    onPacket: (packet, host, port) => (passes() ? receiver.onPacket(packet, host, port) : undefined),
    onBatchEnd: () => receiver.onBatchEnd(),
  });
  return socket;
};

t.test('a name that does not resolve is said so', async (t) => {
  const { machine, driver, openSockets } = createDriver(t, { host: 'no-such-host.invalid' });
  machine.dial();
  driver.pump();
  t.same(await machine.disconnected(), { code: 'relay_unreachable', reason: 'the name no-such-host.invalid does not resolve' });
  t.equal(openSockets(), 0);
});

t.test('of a name with several addresses the first that answers is taken, and no socket of the others is left', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const silent = await Promise.all([1, 2].map(() => openPlainSocket({ host: '127.0.0.1', port: 0 })));
  t.teardown(() => Promise.all(silent.map((socket) => socket.close())));
  const addresses = [...silent.map(({ local }) => local), pair.server.local];
  const { machine, driver, openSockets } = createDriver(t, { host: 'relay.test' }, { resolve: () => Promise.resolve(addresses) });
  const started = performance.now();
  machine.dial();
  driver.pump();
  await eventually(() => machine.established === 1);
  t.ok(performance.now() - started >= 2 * NEXT_ADDRESS_MS, 'each had its time before the next');
  t.same(driver.outer(0)?.peer.address, pair.server.local);
  await eventually(() => openSockets() === 1);
  t.same(machine.disconnects, []);
});

t.test('an address that fails makes way for the next at once, and a refusal is what is reported when none is left', async (t) => {
  const wrong = await createUdpPair(t, { serverConfig: configOf(agentCertificate, OUTER_PROFILE) });
  const right = await createUdpPair(t, { serverConfig: outerServer() });
  const { machine, driver } = createDriver(t, { host: 'relay.test' }, { resolve: () => Promise.resolve([wrong.server.local, right.server.local]) });
  machine.dial();
  driver.pump();
  await eventually(() => machine.established === 1);
  t.same(driver.outer(0)?.peer.address, right.server.local);

  const silent = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  t.teardown(() => silent.close());
  const refused = createDriver(t, { host: 'relay.test' }, { config: outerClient({ idleTimeoutMs: 300 }), resolve: () => Promise.resolve([wrong.server.local, silent.local]) });
  refused.machine.dial();
  refused.driver.pump();
  t.match(await refused.machine.disconnected(), { code: 'certificate_purpose_invalid' });
  t.equal(refused.machine.disconnects.length, 1);
  await refused.driver.stop();
  t.equal(refused.openSockets(), 0);
});

t.test('addresses of both families take turns, the resolver deciding which begins', async (t) => {
  const of = (...families: number[]) => families.map((family, n) => ({ family, n }));
  t.same(interleaveFamilies(of(6, 6, 6, 4)).map(({ n }) => n), [0, 3, 1, 2]);
  t.same(interleaveFamilies(of(4, 6, 6, 6)).map(({ n }) => n), [0, 1, 2, 3]);
  t.same(interleaveFamilies(of(4, 4)).map(({ n }) => n), [0, 1]);
  t.same(interleaveFamilies([]), []);
});

t.test('two links have a connection each, and the end of one is not that of the other', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), accept: () => new Recorder() });
  const { machine, driver, openSockets } = createDriver(t, { port: pair.server.local.port });
  machine.dial(0, 0);
  machine.dial(0, 1);
  driver.pump();
  await eventually(() => machine.established === 2);
  t.not(driver.outer(0), driver.outer(1));
  machine.commands.push({ kind: 'disconnect', link: 0, code: 'no_error', reason: 'its sessions are over' });
  driver.pump();
  t.equal(driver.outer(0), undefined);
  await eventually(() => openSockets() === 1);
  t.equal(driver.outer(1)?.isEstablished, true);
  t.same(machine.disconnects, [], 'who hangs up needs no report');
});

t.test('a relay is heard once for each ping, and junk from its address is not its answer', async (t) => {
  let isDeaf = false;
  let received = 0;
  const socket = await openTapped({ host: '127.0.0.1', port: 0 }, () => !isDeaf);
  const accepted = new Recorder();
  const relay = new Endpoint({ socket, isRoaming: true, server: { config: outerServer(), retry: true, maxConnections: 1, accept: () => accepted } });
  t.teardown(() => relay.close('no_error'));
  const { machine, driver } = createDriver(t, { port: relay.local.port }, { openSocket: (address) => openTapped(address, () => ++received > 0) });
  machine.dial();
  driver.pump();
  await Promise.all([accepted.established(), eventually(() => machine.established === 1)]);
  const ping = (renewsId: boolean): void => {
    machine.commands.push({ kind: 'ping', link: 0, renewsId });
    driver.pump();
  };
  // What is left of the handshake may count for the first.
  ping(false);
  await eventually(() => machine.heard.length === 1);
  const before = Buffer.from(driver.outer(0)!.quic.destinationId());
  ping(true);
  await eventually(() => machine.heard.length === 2);
  t.notSame(Buffer.from(driver.outer(0)!.quic.destinationId()), before, 'under another id');
  ping(false);
  await eventually(() => machine.heard.length === 3);
  t.ok(machine.heard.every(({ link, quicRttMs }) => link === 0 && quicRttMs >= 0));

  isDeaf = true;
  ping(false);
  const [id] = driver.outer(0)!.ids;
  const junk = Buffer.concat([Buffer.of(0x40), Buffer.from(id!, 'latin1'), randomBytes(60)]);
  const { host, port } = accepted.connection!.peer.address;
  const receivedBefore = received;
  for (let n = 0; n < 10; n++) socket.sendRun(junk, junk.length, junk.length, host, port);
  await eventually(() => received >= receivedBefore + 10);
  t.equal(machine.heard.length, 3, 'junk');
  isDeaf = false;
  // QUIC asks again what nobody acknowledged.
  await eventually(() => machine.heard.length === 4);
});

t.test('a relay that does not answer is relay_unreachable at its address, and the socket is released', async (t) => {
  const silent = await openPlainSocket({ host: '127.0.0.1', port: 0 });
  t.teardown(() => silent.close());
  const { machine, driver, openSockets } = createDriver(t, { port: silent.local.port }, { config: outerClient({ idleTimeoutMs: 100 }) });
  machine.dial();
  driver.pump();
  t.same(await machine.disconnected(), { code: 'relay_unreachable', reason: `no answer from relay relay-1 at 127.0.0.1:${silent.local.port} (UDP)` });
  await driver.stop();
  t.equal(openSockets(), 0);
  t.equal(machine.disconnects.length, 1);
});

t.test('a relay that answers with Retry and then no more is said to be up', async (t) => {
  const relay = new Endpoint({
    socket: await openPlainSocket({ host: '127.0.0.1', port: 0 }),
    server: { config: outerServer(), retry: true, maxConnections: 10, admission: { admit: () => 'source_handshake_rate' }, accept: () => undefined },
  });
  t.teardown(() => relay.close('no_error'));
  const { machine, driver } = createDriver(t, { port: relay.local.port }, { config: outerClient({ idleTimeoutMs: 300 }) });
  machine.dial();
  driver.pump();
  const { code, reason } = await machine.disconnected();
  t.equal(code, 'relay_unreachable');
  t.match(reason, /^relay relay-1 at 127\.0\.0\.1:\d+ \(UDP\) answered, but took no handshake on/);
  t.equal(machine.answered, true);
});

t.test('a relay that takes no more connections is connection_refused, with its name and reason', async (t) => {
  const relay = new Endpoint({
    socket: await openPlainSocket({ host: '127.0.0.1', port: 0 }),
    server: { config: outerServer(), retry: true, maxConnections: 10, admission: { admit: () => 'source_connections' }, accept: () => undefined },
  });
  t.teardown(() => relay.close('no_error'));
  const { machine, driver } = createDriver(t, { port: relay.local.port });
  machine.dial();
  driver.pump();
  const { code, reason } = await machine.disconnected();
  t.equal(code, 'connection_refused');
  t.match(reason, /^relay relay-1 at 127\.0\.0\.1:\d+ takes no more connections: too many connections from this address/);
});

t.test('a socket that cannot be opened is an unreachable relay too', async (t) => {
  const { machine, driver } = createDriver(t, {}, { openSocket: () => Promise.reject(new Error('no sockets left')) });
  machine.dial();
  driver.pump();
  t.same(await machine.disconnected(), { code: 'relay_unreachable', reason: 'no sockets left' });
});

t.test('an agent certificate at the relay is refused by TLS for its purpose', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: configOf(agentCertificate, OUTER_PROFILE) });
  const { machine, driver } = createDriver(t, { port: pair.server.local.port });
  machine.dial();
  driver.pump();
  t.match(await machine.disconnected(), { code: 'certificate_purpose_invalid' });
});

t.test('a connector named like the relay is refused for its name', async (t) => {
  const connector = issueCertificate(authority, { role: 'connector', name: 'relay-1', services: ['relay-1'] });
  const pair = await createUdpPair(t, { serverConfig: configOf(connector, OUTER_PROFILE) });
  const { machine, driver } = createDriver(t, { port: pair.server.local.port });
  machine.dial();
  driver.pump();
  t.match(await machine.disconnected(), { code: 'certificate_name_mismatch' });
  t.equal(machine.established, 0);
});

t.test('a relay that allows no stream is a protocol error, not a crash', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer({ maxStreams: 0 }) });
  const { machine, driver } = createDriver(t, { port: pair.server.local.port });
  machine.dial();
  driver.pump();
  t.same(await machine.disconnected(), { code: 'protocol_error', reason: 'the relay allows no control stream' });
  t.equal(machine.established, 0);
  t.match(await pair.accepted[0]!.ended(), { code: 'protocol_error', by: 'peer' });
});

t.test('the reason a relay gives for its close reaches the machine, once', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), accept: () => new Recorder() });
  const { machine, driver } = createDriver(t, { port: pair.server.local.port });
  machine.dial();
  driver.pump();
  await eventually(() => machine.established === 1 && pair.accepted[0]!.calls.includes('established'));
  pair.accepted[0]!.connection!.close('registration_replaced', 'a newer one took over');
  t.same(await machine.disconnected(), { code: 'registration_replaced', reason: 'a newer one took over' });
  await driver.stop();
  t.equal(machine.disconnects.length, 1);
  t.equal(driver.outer(0), undefined);
});

t.test('a dial overtaken by another, or by stop, reports nothing and leaves no socket', async (t) => {
  let release!: () => void;
  const held = new Promise<void>((resolve) => (release = resolve));
  const { machine, driver, openSockets } = createDriver(t, {}, {
    config: outerClient({ idleTimeoutMs: 100 }),
    openSocket: async (address) => {
      await held;
      return openPlainSocket(address);
    },
  });
  machine.dial();
  machine.dial();
  driver.pump();
  const stopped = driver.stop();
  release();
  await stopped;
  t.equal(openSockets(), 0);
  t.same(machine.disconnects, []);
});

t.test('a second dial retires the first connection', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const { machine, driver, openSockets } = createDriver(t, { port: pair.server.local.port });
  machine.dial();
  driver.pump();
  await eventually(() => machine.established === 1);
  const first = driver.outer(0);
  machine.dial();
  driver.pump();
  await eventually(() => machine.established === 2);
  t.not(driver.outer(0), first);
  await eventually(() => openSockets() === 1);
  t.same(machine.disconnects, []);
  t.equal(first?.hasEnded, true);
});

t.test('a process whose driver is stopped exits by itself', async (t) => {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./driver-program.js', import.meta.url))], { stdio: ['ignore', 'ignore', 'inherit'] });
  const [code] = (await once(child, 'exit')) as [number];
  t.equal(code, 0);
});

t.test('an endpoint without a server answers no stranger', async (t) => {
  const client = new Endpoint({ socket: await openPlainSocket({ host: '127.0.0.1', port: 0 }) });
  t.teardown(() => client.close('no_error'));
  const initial = Buffer.alloc(1200, 0xc0);
  client.onPacket(initial, '127.0.0.1', 9);
  client.onBatchEnd();
  t.equal(client.drops.unknown_connection, 1);
});
