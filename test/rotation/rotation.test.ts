// From one CA to the next, and from one certificate to its renewal, while a transfer runs: nobody is cut off, no byte is
// lost, and at the end the old CA is worth nothing.

import t from 'tap';
import { connect } from 'node:net';
import { once } from 'node:events';
import { TRUST_DOMAIN } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { SERVICE, startRotationLab } from './rotation-lab.js';
import { SteadyTransfer } from './steady-transfer.js';

// A dozen processes start one after another.
t.setTimeout(180_000);

t.test('a walk from the old CA to the new with a transfer running throughout', async (t) => {
  const { lab, relay, connector, agent, certs, trust } = await startRotationLab(t);
  const port = agent.port(SERVICE);
  const clients = { 'con-1': connector, alice: agent.process };
  const transfer = await SteadyTransfer.start(t, port);
  const quiet = connect({ host: '127.0.0.1', port });
  t.teardown(() => quiet.destroy());
  const say = async (text: string): Promise<string> => {
    quiet.write(text);
    return String((await once(quiet, 'data', { signal: AbortSignal.timeout(30_000) }))[0]);
  };
  t.equal(await say('before'), 'before');

  // 1. A new CA, believed beside the old one everywhere.
  await certs('init', '--dir', 'pki-2', '--trust-domain', TRUST_DOMAIN);
  for (const [name, process] of Object.entries({ 'relay-1': relay, ...clients })) {
    process.forgetEvents();
    trust(name, 'pki', 'pki-2');
    await process.waitFor('reloaded');
    // Else the next step might take this renewal, which is with the old certificate, for its own.
    if (process !== relay) await waitForNewLink(process);
    await transfer.progress();
  }

  // 2. A certificate of the new CA for everybody, one after another, the relay in between.
  for (const [name, process] of [['alice', agent.process], ['relay-1', relay], ['con-1', connector]] as const) {
    process.forgetEvents();
    await certs('renew', `${name}.crt`, '--dir', 'pki-2', '--from-ca', 'pki/ca.crt');
    await process.waitFor('reloaded');
    if (process !== relay) await waitForNewLink(process);
    await transfer.progress();
  }

  // 3. The old CA is believed no more; the relay last proves that nobody rests on it.
  for (const [name, process] of Object.entries({ ...clients, 'relay-1': relay })) {
    process.forgetEvents();
    trust(name, 'pki-2');
    const reloaded = await process.waitFor('reloaded');
    if (process === relay) t.equal(reloaded.clientsClosed, 0, 'no client rested on the old CA');
    else await process.waitFor('renewed');
    await transfer.progress();
  }

  t.equal(await say('after'), 'after', 'a flow that was silent throughout goes on too');
  const bytes = await transfer.finish();
  t.ok(bytes > 0, `${bytes} bytes, each as it was sent`);
  const fresh = await SteadyTransfer.start(t, port);
  await fresh.finish();

  // What the old CA signed is worth nothing now.
  await certs('issue', 'agent', 'bob', '--dir', 'pki', '--out', '.');
  trust('bob', 'pki', 'pki-2');
  lab.registrationKey('bob', 'agent');
  lab.runAgent('bob', [], { tls: { ca: 'bob.ca.crt', certificate: 'bob.crt', key: 'bob.key' } });
  await relay.waitFor('handshake_refused', { code: 'certificate_unknown_ca' });
});

t.test('a broken new certificate is refused and said so; the old one stays, and so do the flows', async (t) => {
  const { lab, connector, agent, certs } = await startRotationLab(t);
  const transfer = await SteadyTransfer.start(t, agent.port(SERVICE));
  const good = { crt: lab.read('con-1.crt'), key: lab.read('con-1.key') };
  connector.forgetEvents();
  lab.write('con-1.crt', 'no certificate');
  t.match((await connector.waitFor('reload_refused', { code: 'certificate_unusable' })).reason, /con-1\.crt holds no PEM certificate/);
  await transfer.progress();
  lab.write('con-1.crt', good.crt);
  await connector.waitFor('reloaded', { linkRenewed: false });

  agent.process.forgetEvents();
  await certs('issue', 'agent', 'mallory', '--dir', 'pki', '--out', 'other');
  // A key that says nothing of its scope, as older ones do.
  lab.write('alice.regkey', lab.read('alice.regkey').replace(/^scope:[\s\S]*/m, ''));
  await agent.process.waitFor('reloaded');
  agent.process.forgetEvents();
  lab.write('alice.key', lab.read('other/mallory.key'));
  lab.write('alice.crt', lab.read('other/mallory.crt'));
  t.match((await agent.process.waitFor('reload_refused')).reason, /the certificate is for .*mallory, and this process is .*alice: restart/);
  agent.process.forgetEvents();
  agent.process.child.kill('SIGHUP');
  await agent.process.waitFor('reload_refused', { trigger: 'SIGHUP' });
  await transfer.finish();
});

t.test('a certificate the relay does not take leaves the connection that stands as it is', async (t) => {
  const { lab, relay, connector, agent, certs, trust } = await startRotationLab(t);
  const transfer = await SteadyTransfer.start(t, agent.port(SERVICE));
  const before = { crt: lab.read('con-1.crt'), key: lab.read('con-1.key') };
  await certs('init', '--dir', 'pki-2', '--trust-domain', TRUST_DOMAIN);
  // The relay has not heard of the new CA: an operator's most likely mistake.
  trust('con-1', 'pki', 'pki-2');
  connector.forgetEvents();
  await certs('renew', 'con-1.crt', '--dir', 'pki-2', '--from-ca', 'pki/ca.crt');
  await connector.waitFor('disconnected', { code: 'certificate_unknown_ca' });
  await relay.waitFor('handshake_refused', { code: 'certificate_unknown_ca' });
  await transfer.progress();
  trust('relay-1', 'pki', 'pki-2');
  await connector.waitFor('renewed');
  await transfer.progress();
  t.not(lab.read('con-1.crt'), before.crt);
  await transfer.finish();
});

t.test('a registration key is replaced without losing a flow', async (t) => {
  const { lab, relay, connector, agent, certs } = await startRotationLab(t);
  const transfer = await SteadyTransfer.start(t, agent.port(SERVICE));
  relay.forgetEvents();
  await certs('keygen', '--key-id', 'con-1-b', '--role', 'connector', '--identity', 'con-1', '--service', SERVICE, '--keyring', 'keyring.yaml', '--out', 'new');
  await relay.waitFor('reloaded');
  connector.forgetEvents();
  lab.write('con-1.regkey', lab.read('new/con-1-b.regkey'));
  await connector.waitFor('renewed');
  await connector.waitFor('left', { code: 'no_error' });
  await relay.waitFor('registration_moved', { sessions: 1 });
  await transfer.progress();
  relay.forgetEvents();
  lab.write('keyring.yaml', lab.read('keyring.yaml').replace(/ {2}- keyId: con-1\n(?: {4}.*\n)+/, ''));
  await relay.waitFor('reloaded', { clientsClosed: 0 });
  await transfer.finish();
});

t.test('a renewed certificate that is revoked by its old serial number stays; the new one revoked ends it', async (t) => {
  const { lab, relay, agent, certs } = await startRotationLab(t);
  const transfer = await SteadyTransfer.start(t, agent.port(SERVICE));
  agent.process.forgetEvents();
  await certs('renew', 'alice.crt', '--dir', 'pki');
  await agent.process.waitFor('left', { code: 'no_error' });
  await certs('revoke', 'alice.crt.old', '--dir', 'pki', '--deny-list', 'deny.yaml');
  await relay.waitFor('reloaded', { clientsClosed: 0 });
  await transfer.progress();
  relay.forgetEvents();
  await certs('revoke', 'alice.crt', '--dir', 'pki', '--deny-list', 'deny.yaml');
  await relay.waitFor('right_withdrawn', { code: 'certificate_revoked' });
  await t.rejects(transfer.finish());
  t.match(lab.read('deny.yaml'), /serials:/);
});

t.test('with a relay of several workers every link of the connector is made anew, each at its worker', async (t) => {
  const { relay, connector, agent, certs } = await startRotationLab(t, { workers: 2 });
  const isAt = (worker: number) => (event: { event: string; worker?: unknown }): boolean => event.event === 'registered' && event.worker === worker;
  for (const worker of [0, 1]) await connector.waitForEvent(isAt(worker), `registered at worker ${worker}`);
  const transfer = await SteadyTransfer.start(t, agent.port(SERVICE));
  connector.forgetEvents();
  await certs('renew', 'con-1.crt', '--dir', 'pki');
  for (const worker of [0, 1]) {
    await connector.waitForEvent(isAt(worker), `registered anew at worker ${worker}`);
    await connector.waitForEvent(({ event, worker: left, code }) => event === 'left' && left === worker && code === 'no_error', `left worker ${worker}`);
  }
  await relay.waitFor('registration_moved', { sessions: 1 });
  await transfer.progress();
  await certs('renew', 'alice.crt', '--dir', 'pki');
  await agent.process.waitFor('left', { code: 'no_error' });
  await transfer.progress();
  await transfer.finish();
});

/** Its link was made anew, and the old one is gone. */
async function waitForNewLink(process: ManagedProcess): Promise<void> {
  await process.waitFor('renewed', { relay: 'relay-1' });
  await process.waitFor('left', { relay: 'relay-1', code: 'no_error' });
}
