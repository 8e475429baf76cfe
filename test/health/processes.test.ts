// Real processes with a health port: ready when they are, not when they are not, and metrics that move with what
// happens to them.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { relayDnsName } from '@ztna/protocol';
import { HostileClient } from '../harness/hostile-client.js';
import { dialAs } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN, type RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { fetchHealth, fetchUntil, parseScrape, scrapeMetrics, valueOf, type ScrapedFamily } from '../harness/scrape.js';
import { openTcp, startEchoBackend, startTcpBackend, unusedPort, type TcpBackend } from '../harness/tcp.js';

const HEALTH = { health: { listen: '127.0.0.1:0' } };
const PROBED = { health: { listen: '127.0.0.1:0', probeInterval: '100ms' } };

interface Scene {
  readonly lab: Lab;
  readonly relay: ManagedProcess;
  readonly connector: ManagedProcess;
  readonly alice: RunningAgent;
  readonly backend: TcpBackend;
}

const setUp = async (t: Test, relayExtra: object = {}): Promise<Scene> => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['echo']);
  lab.enrol('agent', 'alice');
  lab.write('deny.yaml', 'identities: []\n');
  const relay = await lab.startRelay([{ allow: ['alice'], services: ['echo', 'nothing'] }], { extra: { ...HEALTH, denyList: 'deny.yaml', ...relayExtra } });
  const connector = await lab.startConnector('connector-1', { echo: { backend: backend.address } }, PROBED);
  const alice = await lab.startAgent('alice', [{ service: 'echo' }, { service: 'nothing' }], HEALTH);
  return { lab, relay, connector, alice, backend };
};

/** host:port of a process's health port. */
const healthOf = async (process: ManagedProcess): Promise<string> => String((await process.waitFor('health_listening')).address);

/** Scrapes until the value is as it should be. */
const metricsUntil = async (process: ManagedProcess, holds: (families: readonly ScrapedFamily[]) => boolean): Promise<readonly ScrapedFamily[]> =>
  parseScrape((await fetchUntil(await healthOf(process), '/metrics', ({ body }) => holds(parseScrape(body)))).body);

/** Not events.once: a reset is an 'error' to it. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve())));

const notReadyOf = (body: string): unknown => (JSON.parse(body) as { notReady: unknown }).notReady;

void t.test('all three are ready once registered and the backend answers, and count what crosses them', async (t) => {
  const { relay, connector, alice } = await setUp(t);
  for (const process of [relay, connector, alice.process]) t.match(await fetchUntil(await healthOf(process), '/readyz', ({ status }) => status === 200), { body: /ready/ });

  const socket = await openTcp(t, alice.port('echo'));
  socket.write('x'.repeat(10_000));
  for (let got = 0; got < 10_000; ) got += ((await once(socket, 'data')) as [Buffer])[0].length;

  const open = await metricsUntil(connector, (families) => valueOf(families, 'ztna_connector_flow_bytes_total', { service: 'echo', direction: 'to_backend' }) === 10_000);
  t.equal(valueOf(open, 'ztna_connector_flows', { service: 'echo' }), 1, 'a flow that is open is counted with the bytes it has carried');
  t.equal(valueOf(open, 'ztna_connector_flow_bytes_total', { direction: 'from_backend' }), 10_000);
  t.equal(valueOf(open, 'ztna_connector_registered'), 1);
  t.equal(valueOf(open, 'ztna_connector_registrations_total', { code: 'ok' }), 1);
  t.equal(valueOf(open, 'ztna_connector_inner_handshakes_total', { code: 'ok' }), 1);
  t.equal(valueOf(open, 'ztna_connector_backend_connect_seconds_count', { service: 'echo' }), 1);
  t.equal(valueOf(open, 'ztna_connector_backend_up', { service: 'echo' }), 1);
  t.equal(valueOf(open, 'ztna_connector_sessions'), 1);

  const agent = await scrapeMetrics(await healthOf(alice.process));
  t.equal(valueOf(agent, 'ztna_agent_flow_bytes_total', { service: 'echo', direction: 'from_program' }), 10_000);
  t.equal(valueOf(agent, 'ztna_agent_flows', { service: 'echo' }), 1);

  const during = await scrapeMetrics(await healthOf(relay));
  t.equal(valueOf(during, 'ztna_relay_connections'), 2);
  t.equal(valueOf(during, 'ztna_relay_connectors_registered'), 1);
  t.equal(valueOf(during, 'ztna_relay_services_registered'), 1);
  t.equal(valueOf(during, 'ztna_relay_sessions'), 1);
  t.equal(valueOf(during, 'ztna_relay_handshakes_total', { code: 'ok' }), 2);
  t.equal(valueOf(during, 'ztna_relay_registrations_total', { code: 'ok' }), 2);
  t.equal(valueOf(during, 'ztna_relay_session_opens_total', { code: 'ok' }), 1);
  const received = valueOf(during, 'ztna_relay_datagrams_received_total')!;
  t.ok(received > 10, `${received} datagrams`);
  t.equal(received, ['forwarded', 'consumed', 'dropped'].reduce((sum, end) => sum + valueOf(during, `ztna_relay_datagrams_${end}_total`)!, valueOf(during, 'ztna_relay_datagrams_queued')!));
  t.ok(valueOf(during, 'ztna_relay_cpu_seconds_per_datagram')! > 0);
  t.ok(valueOf(during, 'ztna_certificate_seconds_left', { certificate: 'own' })! > 80 * 86_400);

  socket.end();
  await once(socket, 'end');
  const after = await metricsUntil(connector, (families) => valueOf(families, 'ztna_connector_flows_total', { protocol: 'tcp', code: 'ok' }) === 1);
  t.equal(valueOf(after, 'ztna_connector_flows'), 0);
  t.equal(valueOf(after, 'ztna_connector_flow_bytes_total', { direction: 'to_backend' }), 10_000, 'its bytes stay');
  await metricsUntil(alice.process, (families) => valueOf(families, 'ztna_agent_flows_total', { protocol: 'tcp', code: 'ok' }) === 1);

  const refused = await openTcp(t, alice.port('nothing'));
  await closed(refused);
  await metricsUntil(relay, (families) => valueOf(families, 'ztna_relay_session_opens_total', { code: 'connector_absent' }) === 1);
  await metricsUntil(alice.process, (families) => valueOf(families, 'ztna_agent_flows_total', { protocol: 'tcp', code: 'connector_absent' }) === 1);
});

void t.test('the relay counts refused handshakes and registrations by code, and handshakes under way', async (t) => {
  const { lab, relay } = await setUp(t);
  const foreign = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'foreign' });
  const own = issueCertificate(lab.authority, { role: 'agent', name: 'mallory' });
  const theirs = issueCertificate(foreign, { role: 'agent', name: 'alice' });
  const init = { port: lab.relayPort, serverName: relayDnsName('relay-1', TRUST_DOMAIN) };
  const caPem = lab.authority.certificatePem;
  for (const client of [
    await HostileClient.dial({ ...init, credentials: { caPem, ...own }, anonymous: true }),
    await HostileClient.dial({ ...init, credentials: { caPem, ...theirs } }),
  ]) {
    await client.ended;
    t.teardown(() => client.close());
  }
  const alice = await dialAs(lab, 'alice');
  t.teardown(() => alice.close());
  alice.hello('agent').register(new Uint8Array([1, 2, 3]));
  await alice.take('registerNack');
  const families = await metricsUntil(relay, (now) => valueOf(now, 'ztna_relay_handshakes_under_way') === 0);
  t.equal(valueOf(families, 'ztna_relay_handshakes_total', { code: 'certificate_required' }), 1);
  t.equal(valueOf(families, 'ztna_relay_handshakes_total', { code: 'certificate_unknown_ca' }), 1);
  t.equal(valueOf(families, 'ztna_relay_handshakes_total', { code: 'ok' }), 3);
  t.equal(valueOf(families, 'ztna_relay_registrations_total', { code: 'token_malformed' }), 1);
});

void t.test('a connector is not ready before a relay has it, nor while its backend is down', async (t) => {
  const port = await unusedPort();
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['web']);
  // For a port that the connector finds nobody at, and then somebody.
  await (await lab.startRelay([])).kill();
  const connector = lab.runConnector('connector-1', { web: { backend: `127.0.0.1:${port}` } }, PROBED);
  const address = await healthOf(connector);
  t.match(await fetchHealth(address, '/healthz'), { status: 200 });
  const before = await fetchUntil(address, '/readyz', ({ body }) => body.includes('refused'));
  t.equal(before.status, 503);
  t.strictSame(notReadyOf(before.body), [
    { check: 'registered', reason: 'no relay has accepted the registration' },
    { check: 'backend', about: 'web', reason: 'the backend refused the connection' },
  ]);
  t.equal(valueOf(await scrapeMetrics(address), 'ztna_connector_registered'), 0);

  await lab.startRelay([], { port: lab.relayPort });
  await connector.waitFor('registered');
  t.strictSame(notReadyOf((await fetchHealth(address, '/readyz')).body), [{ check: 'backend', about: 'web', reason: 'the backend refused the connection' }]);

  const backend = await startTcpBackend(t, undefined, { port });
  await fetchUntil(address, '/readyz', ({ status }) => status === 200);
  await backend.close();
  const down = await fetchUntil(address, '/readyz', ({ status }) => status !== 200);
  t.match(notReadyOf(down.body), [{ check: 'backend', about: 'web' }]);
  t.equal(valueOf(await scrapeMetrics(address), 'ztna_connector_backend_up', { service: 'web' }), 0);
});

void t.test('SIGTERM: alive and not ready while sessions finish, and gone after', async (t) => {
  const { relay, alice } = await setUp(t, { drainTimeout: '20s' });
  const socket = await openTcp(t, alice.port('echo'));
  socket.write('hello');
  await once(socket, 'data');
  const address = await healthOf(relay);
  t.match(await fetchHealth(address, '/readyz'), { status: 200 });
  relay.child.kill('SIGTERM');
  await relay.waitFor('drain_started');
  const draining = await fetchHealth(address, '/readyz');
  t.equal(draining.status, 503);
  t.strictSame(notReadyOf(draining.body), [{ check: 'draining', reason: 'asked to stop' }]);
  t.match(await fetchHealth(address, '/healthz'), { status: 200 });
  t.equal(valueOf(await scrapeMetrics(address), 'ztna_draining'), 1);
  socket.end();
  await alice.process.stop();
  t.equal(await relay.exited, 0);
  await t.rejects(fetchHealth(address, '/healthz'), { code: 'ECONNREFUSED' });
});

void t.test('a certificate that runs out is noticed by a reload of it, and by the clock', async (t) => {
  const { lab, relay } = await setUp(t);
  const address = await healthOf(relay);
  const { certificatePem, keyPem } = issueCertificate(lab.authority, { role: 'relay', name: 'relay-1', notAfter: new Date(Date.now() + 4_000) });
  lab.write('relay-1.key', keyPem);
  lab.write('relay-1.crt', certificatePem);
  await relay.waitFor('reloaded');
  const families = await scrapeMetrics(address);
  const left = valueOf(families, 'ztna_certificate_seconds_left', { certificate: 'own' })!;
  t.ok(left > 0 && left <= 4, `${left} s left`);
  const { body } = await fetchUntil(address, '/readyz', ({ status }) => status === 503);
  t.strictSame(notReadyOf(body), [{ check: 'certificate', reason: 'expired' }]);
});

void t.test('reloads are counted, and how long a revocation took', async (t) => {
  const { lab, relay, alice } = await setUp(t);
  const socket = await openTcp(t, alice.port('echo'));
  socket.write('hello');
  await once(socket, 'data');
  lab.write('policy.yaml', 'rules: [{allow: nobody}]\n');
  await relay.waitFor('reload_refused');
  await metricsUntil(relay, (now) => valueOf(now, 'ztna_relay_reload_outdated') === 1);
  lab.write('policy.yaml', 'rules: [{allow: [alice], services: [echo]}]\n');
  lab.write('deny.yaml', 'identities: [agent/alice]\n');
  await closed(socket);
  const families = await metricsUntil(relay, (now) => valueOf(now, 'ztna_relay_revocation_seconds_count') === 1);
  const took = valueOf(families, 'ztna_relay_revocation_seconds_sum')!;
  t.ok(took > 0 && took < 1, `revoked within ${took} s`);
  t.equal(valueOf(families, 'ztna_relay_revocation_seconds_bucket', { le: '1' }), 1);
  t.ok(valueOf(families, 'ztna_relay_reloads_total', { result: 'refused' })! >= 1);
  t.ok(valueOf(families, 'ztna_relay_reloads_total', { result: 'applied' })! >= 1);
  t.equal(valueOf(families, 'ztna_relay_reload_outdated'), 0, 'the mended files are in force');
  t.ok(valueOf(families, 'ztna_relay_reload_age_seconds')! < 30);
  t.equal(valueOf(families, 'ztna_relay_deny_list_entries'), 1);
  t.equal(valueOf(families, 'ztna_relay_rights_withdrawn_total', { code: 'certificate_revoked' }), 1);
});
