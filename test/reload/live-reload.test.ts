// The relay takes over changed files while it runs: whose right is gone is cut off within a second,
// everyone else notices nothing, and a broken file changes nothing.

import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { Lab, TRUST_DOMAIN, type RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { waitForCount } from '../harness/overlay.js';
import { startEchoBackend } from '../harness/tcp.js';

// A dozen overlays, one after the other.
t.setTimeout(120_000);

const REVOCATION_BOUND_MS = 1000;

interface Scene {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly alice: RunningAgent;
  readonly bob: RunningAgent;
}

const setUp = async (t: Test): Promise<Scene> => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['echo']);
  lab.enrol('agent', 'alice');
  lab.enrol('agent', 'bob');
  lab.write('deny.yaml', 'identities: []\n');
  const relay = await lab.startRelay([{ allow: ['alice', 'bob'], services: ['echo'] }], { extra: { denyList: 'deny.yaml' } });
  const connector = await lab.startConnector('connector-1', { echo: { backend: backend.address } });
  const alice = await lab.startAgent('alice', [{ service: 'echo' }]);
  const bob = await lab.startAgent('bob', [{ service: 'echo' }]);
  return { lab, relay, connector, alice, bob };
};

/** An open flow that has carried bytes both ways. */
const openFlow = async (t: Test, agent: RunningAgent): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port: agent.port('echo'), noDelay: true });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await echo(socket, 'hello');
  return socket;
};

const echo = async (socket: Socket, text: string): Promise<void> => {
  socket.write(text);
  const [reply] = (await once(socket, 'data')) as [Buffer];
  if (reply.toString() !== text) throw new Error(`echo said ${reply.toString()}`);
};

/** How long the end of a flow took from now, in ms. */
const timeToEnd = async (socket: Socket): Promise<number> => {
  const from = performance.now();
  // Not events.once: the reset that ends the flow is an 'error' to it.
  if (!socket.closed) await new Promise((resolve) => socket.once('close', resolve));
  return performance.now() - from;
};

void t.test('ends connection, session and flow of a revoked identity within a second, and no one else', async (t) => {
  const { lab, relay, alice, bob } = await setUp(t);
  const hers = await openFlow(t, alice);
  const his = await openFlow(t, bob);
  lab.write('deny.yaml', 'identities: [agent/alice]\n');
  const took = await timeToEnd(hers);
  t.ok(took < REVOCATION_BOUND_MS, `her flow ended after ${took.toFixed(0)} ms`);
  await relay.waitFor('right_withdrawn', { code: 'certificate_revoked', identity: `spiffe://${TRUST_DOMAIN}/agent/alice` });
  await alice.process.waitFor('disconnected', { code: 'certificate_revoked' });
  await relay.waitFor('handshake_refused', { code: 'certificate_revoked' });
  await echo(his, 'still here');

  lab.write('deny.yaml', 'identities: []\n');
  await relay.waitFor('reloaded', { clientsClosed: 0 });
  await waitForCount(alice.process, 'registered', 2);
  await openFlow(t, alice);
});

void t.test('a revoked serial number is that certificate only', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const hers = await openFlow(t, alice);
  const { serialNumber } = new X509Certificate(lab.read('alice.crt'));
  const colons = serialNumber.toLowerCase().match(/../g)!.join(':');
  lab.write('deny.yaml', stringify({ serials: [colons] }));
  t.ok((await timeToEnd(hers)) < REVOCATION_BOUND_MS);
  await alice.process.stop();
  lab.issue('agent', 'alice');
  const renewed = await lab.startAgent('alice', [{ service: 'echo' }]);
  await openFlow(t, renewed);
  t.equal(relay.hasExited, false);
});

void t.test('a policy that no longer allows a session ends it; the connection stays', async (t) => {
  const { lab, relay, alice, bob } = await setUp(t);
  const hers = await openFlow(t, alice);
  const his = await openFlow(t, bob);
  lab.write('policy.yaml', stringify({ rules: [{ allow: ['bob'], services: ['echo'] }] }));
  await timeToEnd(hers);
  await relay.waitFor('session_closed', { code: 'policy_revoked' });
  await echo(his, 'still here');
  t.equal(alice.process.events.some((event) => event.event === 'disconnected'), false);
});

void t.test('a registration key that leaves the keyring takes its registrations along', async (t) => {
  const { lab, relay, alice, bob } = await setUp(t);
  const hers = await openFlow(t, alice);
  const his = await openFlow(t, bob);
  const keyring = parse(lab.read('keyring.yaml')) as { keys: { keyId: string }[] };
  lab.write('keyring.yaml', stringify({ keys: keyring.keys.filter(({ keyId }) => keyId !== 'alice') }));
  await timeToEnd(hers);
  await relay.waitFor('right_withdrawn', { code: 'token_unknown_key' });
  await alice.process.waitFor('refused', { code: 'token_unknown_key' });
  await echo(his, 'still here');
});

void t.test('refuses a set of files with a fault, says why, and keeps what it has', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const hers = await openFlow(t, alice);
  lab.write('policy.yaml', 'rules: [{allow: [alice], service: [echo]}]\n');
  const { reason } = await relay.waitFor('reload_refused', { code: 'config_invalid' });
  t.match(reason, /policy\.yaml:1: rules\[0\]\.service: /);
  await echo(hers, 'still here');
  relay.forgetEvents();
  relay.child.kill('SIGHUP');
  await relay.waitFor('reload_refused', { trigger: 'SIGHUP' });
});

const EXPIRED = new Date(Date.now() - 60_000);

/** What is wrong with a set of files that has nothing to do with who is revoked. */
const UNRELATED_FAULTS: Record<string, (lab: Lab) => void> = {
  'a policy that is no YAML': (lab) => void lab.write('policy.yaml', 'rules: [\n'),
  'a certificate of the relay that has run out': (lab) => {
    const issued = issueCertificate(lab.authority, { role: 'relay', name: 'relay-1', days: 1, now: new Date(EXPIRED.getTime() - 86_400_000) });
    lab.write('relay-1.crt', issued.certificatePem);
    lab.write('relay-1.key', issued.keyPem);
  },
  'a relay.yaml with a fault': (lab) => void lab.write('relay-1.yaml', `${lab.read('relay-1.yaml')}unknown: true\n`),
};
for (const [what, spoil] of Object.entries(UNRELATED_FAULTS))
  void t.test(`${what} keeps nobody in who is revoked`, async (t) => {
    const { lab, relay, alice, bob } = await setUp(t);
    const hers = await openFlow(t, alice);
    const his = await openFlow(t, bob);
    spoil(lab);
    await relay.waitFor('reload_refused');
    lab.write('deny.yaml', 'identities: [agent/alice]\n');
    const took = await timeToEnd(hers);
    t.ok(took < REVOCATION_BOUND_MS, `her flow ended after ${took.toFixed(0)} ms`);
    await relay.waitFor('reloaded_in_part', { clientsClosed: 1 });
    await relay.waitFor('handshake_refused', { code: 'certificate_revoked' });
    await echo(his, 'still here');
    relay.forgetEvents();
    relay.child.kill('SIGHUP');
    await relay.waitFor('reload_refused', { trigger: 'SIGHUP' });
    t.equal(relay.events.some(({ event }) => event === 'reloaded_in_part'), false, 'once only');
  });

void t.test('a file that is named for the first time and not there yet is waited for', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const hers = await openFlow(t, alice);
  lab.write('relay-1.yaml', lab.read('relay-1.yaml').replace('deny.yaml', 'denied-now.yaml'));
  t.match((await relay.waitFor('reload_refused')).reason, /denied-now\.yaml/);
  lab.write('denied-now.yaml', 'identities: [agent/alice]\n');
  const took = await timeToEnd(hers);
  t.ok(took < REVOCATION_BOUND_MS, `her flow ended after ${took.toFixed(0)} ms`);
  await relay.waitFor('reloaded');
});

void t.test('a deny list that is named for the first time is watched while another file is at fault', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const hers = await openFlow(t, alice);
  lab.write('policy.yaml', 'rules: [\n');
  await relay.waitFor('reload_refused');
  relay.forgetEvents();
  lab.write('denied-now.yaml', 'identities: []\n');
  lab.write('relay-1.yaml', lab.read('relay-1.yaml').replace('deny.yaml', 'denied-now.yaml'));
  await relay.waitFor('reload_refused');
  lab.write('denied-now.yaml', 'identities: [agent/alice]\n');
  const took = await timeToEnd(hers);
  t.ok(took < REVOCATION_BOUND_MS, `her flow ended after ${took.toFixed(0)} ms`);
});

void t.test('a file that is empty, as it is for a moment while it is rewritten, revokes nothing', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const hers = await openFlow(t, alice);
  for (const file of ['policy.yaml', 'deny.yaml', 'keyring.yaml']) {
    const before = lab.read(file);
    relay.forgetEvents();
    lab.write(file, '');
    t.match((await relay.waitFor('reload_refused', { code: 'config_invalid' })).reason, new RegExp(file));
    await echo(hers, 'still here');
    lab.write(file, before);
    await relay.waitFor('reloaded', { clientsClosed: 0 });
  }
  await echo(hers, 'still here');
});

void t.test('a CA bundle with two CAs takes clients of both; without the old one its clients are cut off', async (t) => {
  const { lab, relay, alice, bob } = await setUp(t);
  const next = createAuthority({ trustDomain: TRUST_DOMAIN });
  const old = lab.authority.certificatePem;
  lab.write('ca.crt', old + next.certificatePem);
  await relay.waitFor('reloaded');
  const hers = await openFlow(t, alice);
  const his = await openFlow(t, bob);

  // Alice moves to the new CA; the connector does not, so her inner handshake needs both CAs on its side too.
  await alice.process.stop();
  await timeToEnd(hers);
  const { certificatePem, keyPem } = issueCertificate(next, { role: 'agent', name: 'alice' });
  lab.write('alice.crt', certificatePem);
  lab.write('alice.key', keyPem);
  const moved = await lab.startAgent('alice', [{ service: 'echo' }]);
  await echo(his, 'still here');

  relay.forgetEvents();
  const { certificatePem: relayPem, keyPem: relayKey } = issueCertificate(next, { role: 'relay', name: 'relay-1' });
  lab.write('relay-1.crt', relayPem);
  lab.write('relay-1.key', relayKey);
  lab.write('ca.crt', next.certificatePem);
  await timeToEnd(his);
  await relay.waitFor('right_withdrawn', { code: 'certificate_unknown_ca', identity: `spiffe://${TRUST_DOMAIN}/agent/bob` });
  t.equal(moved.process.events.some((event) => event.event === 'disconnected'), false, 'the client of the new CA stays');
});
