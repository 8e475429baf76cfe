// Refusals as people meet them, with the real programs: the one line and the exit code of
// `ztna-agent connect`, what `ztna-agent up` and the connector log, and that they carry on.

import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import t from 'tap';
import { createAuthority, generateRegistrationKey, issueCertificate } from '@ztna/certs';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

/** An agent gives a one-shot command up after 15 s; nothing may take longer but for a loaded machine. */
const DEADLINE_MS = 20_000;
const uri = (role: string, name: string): string => `spiffe://${TRUST_DOMAIN}/${role}/${name}`;

const lab = Lab.create(t);
lab.enrol('agent', 'mallory');
lab.enrol('agent', 'eve');
lab.enrol('connector', 'picky', ['vault']);
/** Its registration key is another one than the relay has under that id. */
const forged = generateRegistrationKey({ keyId: 'eve', scope: { role: 'agent', identities: ['eve'], services: [] } });
const policy = [
  { allow: ['alice', 'eve'], services: ['web'] },
  { allow: ['mallory'], services: ['vault', 'empty'] },
];
const { relay, flow, echoPort, backendConnections } = await startInnocentLab(t, lab, policy);
const picky = await lab.startConnector('picky', { vault: { backend: `127.0.0.1:${echoPort}`, allow: ['alice'] } });
lab.write('eve.regkey', forged.keyFileYaml);

const foreign = createAuthority({ trustDomain: TRUST_DOMAIN, name: 'foreign CA' });
const stranger = issueCertificate(foreign, { role: 'agent', name: 'stranger' });
lab.write('stranger.crt', stranger.certificatePem);
lab.write('stranger.key', stranger.keyPem);
lab.registrationKey('stranger', 'agent');
/** Trusts both CAs, so that it is the relay who refuses; or the foreign one alone, so that the agent refuses the relay. */
lab.write('both.crt', foreign.certificatePem + lab.authority.certificatePem);
lab.write('foreign-ca.crt', foreign.certificatePem);
const strangerTls = (ca: string): object => ({ tls: { ca, certificate: 'stranger.crt', key: 'stranger.key' } });

interface Case {
  readonly agent: string;
  readonly service: string;
  readonly extra?: object;
  /** The whole line, after `ztna-agent: `. */
  readonly line: string;
  /** What the relay logs. */
  readonly logged?: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> };
}

const cases: Record<string, Case> = {
  'a service no rule names': {
    agent: 'mallory', service: 'nowhere',
    line: 'service_unknown: nowhere: no policy rule names that service (no policy rule names this service); check the spelling, or ask who runs the relay for a policy rule',
    logged: { event: 'session_refused', fields: { code: 'service_unknown', identity: uri('agent', 'mallory') } },
  },
  'a service policy denies': {
    agent: 'mallory', service: 'web',
    line: 'policy_denied: web: policy does not allow this identity to open that service (mallory may not open web); ask who runs the relay for a policy rule',
    logged: { event: 'session_refused', fields: { code: 'policy_denied', identity: uri('agent', 'mallory') } },
  },
  'a service nobody serves': {
    agent: 'mallory', service: 'empty',
    line: 'connector_absent: empty: no connector is registered for that service (no connector serves empty); check that the service\'s connector runs; its log says more',
    logged: { event: 'session_refused', fields: { code: 'connector_absent', identity: uri('agent', 'mallory') } },
  },
  "a service whose connector's allow list leaves the agent out, although policy allows it": {
    agent: 'mallory', service: 'vault',
    line: "agent_not_allowed: vault: the connector's allow list does not name this agent; ask who runs the connector to name this agent in the service's allow list",
    logged: { event: 'session_opened', fields: { service: 'vault', identity: uri('agent', 'mallory') } },
  },
  'a registration key that is not the one the relay knows': {
    agent: 'eve', service: 'web',
    line: 'token_bad_signature: web: the registration token is not signed by the key it names (signature does not verify with key eve); check that registration.key is the one the relay\'s keyring has for this agent',
    logged: { event: 'registration_refused', fields: { code: 'token_bad_signature', identity: uri('agent', 'eve') } },
  },
};

for (const [what, { agent, service, extra, line, logged }] of Object.entries(cases)) {
  t.test(`connect says in one line why it is refused ${what}, and exits 1`, async (t) => {
    relay.forgetEvents();
    const run = connectAs(agent, service, extra);
    t.equal(await run.exited, 1);
    t.same(run.stderrLines, [`ztna-agent: ${line}`]);
    t.equal(run.stdout.length, 0);
    if (logged) await relay.waitFor(logged.event, logged.fields);
    await flow.roundTrip();
  });
}

t.test('the connector logs whom its allow list refused, and its backend was not touched', async (t) => {
  await picky.waitFor('flow_refused', { code: 'agent_not_allowed', service: 'vault', identity: uri('agent', 'mallory') });
  t.equal(backendConnections(), 1, 'the innocent flow alone');
});

t.test('connect with a certificate of a foreign CA is refused by the relay with certificate_unknown_ca', async (t) => {
  relay.forgetEvents();
  const run = connectAs('stranger', 'web', strangerTls('both.crt'));
  t.equal(await run.exited, 1);
  t.match(run.stderrLines.join('\n'), /^ztna-agent: certificate_unknown_ca: web: the certificate is not signed by the pinned CA[^\n]*$/);
  await relay.waitFor('handshake_refused', { code: 'certificate_unknown_ca' });
});

t.test('connect that pins another CA refuses the relay itself with certificate_unknown_ca', async (t) => {
  relay.forgetEvents();
  const run = connectAs('stranger', 'web', strangerTls('foreign-ca.crt'));
  t.equal(await run.exited, 1);
  t.match(run.stderrLines.join('\n'), /^ztna-agent: certificate_unknown_ca: web: [^\n]*$/);
  await relay.waitFor('handshake_refused', { code: 'certificate_unknown_ca' });
});

t.test('connect with a certificate that does not fit its own CA is told before it dials, and exits 2', async (t) => {
  const run = connectAs('stranger', 'web', strangerTls('ca.crt'));
  t.equal(await run.exited, 2);
  t.match(run.stderrLines.join('\n'), /stranger\.crt .*CA/);
});

t.test('connect to a relay of another name refuses it with certificate_name_mismatch', async (t) => {
  const run = connectAs('mallory', 'web', { relays: [{ address: `127.0.0.1:${lab.relayPort}`, name: 'relay-2' }] });
  t.equal(await run.exited, 1);
  t.match(run.stderrLines.join('\n'), /^ztna-agent: certificate_name_mismatch: web: the certificate does not carry the expected DNS name[^\n]*$/);
});

t.test('connect to an address where nothing listens fails within its deadline with relay_unreachable and the address', async (t) => {
  const silent = createSocket('udp4');
  silent.bind(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address();
  await new Promise<void>((resolve) => silent.close(resolve));
  const started = Date.now();
  const run = connectAs('mallory', 'web', { relays: [{ address: `127.0.0.1:${port}`, name: 'relay-1' }] });
  t.equal(await run.exited, 1);
  t.ok(Date.now() - started < DEADLINE_MS, `${Date.now() - started} ms`);
  t.match(run.stderrLines, [new RegExp(`^ztna-agent: relay_unreachable: web: .*127\\.0\\.0\\.1:${port}`)]);
  t.equal(run.stderrLines.length, 1);
});

t.test('an agent that is refused keeps running, and logs the code each time', async (t) => {
  const { process: agent } = lab.runAgent('eve', [{ service: 'web' }]);
  const refusal = await agent.waitFor('refused', { code: 'token_bad_signature' });
  t.match(refusal, { level: 'warn', relay: 'relay-1', reason: /signature/ });
  t.type(refusal.retryInMs, 'number');
  agent.forgetEvents();
  await agent.waitFor('refused', { code: 'token_bad_signature' });
  t.notOk(agent.hasExited);
  await agent.stop();
});

t.test('an agent whose flow policy denies logs the code, resets the client and serves on', async (t) => {
  const mallory = await lab.startAgent('mallory', [{ service: 'web' }, { service: 'vault' }]);
  const { process: agent } = mallory;
  for (const [service, event, code] of [['web', 'session_refused', 'policy_denied'], ['vault', 'flow_refused', 'agent_not_allowed']] as const) {
    const socket = connect(mallory.port(service), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('hello?');
    await new Promise((resolve) => socket.once('close', resolve));
    await agent.waitFor(event, { service, code });
    await agent.waitFor('flow_refused', { service, code });
  }
  t.notOk(agent.hasExited);
  await agent.stop();
});

t.test('a connector that is refused keeps running and logs the code', async (t) => {
  lab.issue('connector', 'con-9', ['web']);
  lab.write('con-9.regkey', generateRegistrationKey({ keyId: 'con-9', scope: { role: 'connector', identities: ['con-9'], services: ['web'] } }).keyFileYaml);
  relay.forgetEvents();
  const refused = lab.runConnector('con-9', { web: { backend: '127.0.0.1:1' } });
  await refused.waitFor('refused', { code: 'token_unknown_key' });
  await relay.waitFor('registration_refused', { code: 'token_unknown_key', identity: uri('connector', 'con-9') });
  t.notOk(refused.hasExited);
  await refused.stop();
});

t.test('the innocent flow is untouched and no secret was logged', async (t) => {
  await flow.roundTrip();
  t.equal(backendConnections(), 1);
  checkNoSecretsLogged(t, lab);
});

/** The real command, with its own configuration file; its standard input stays open, as ssh's does. */
function connectAs(agent: string, service: string, extra: object = {}): ManagedProcess {
  const [command, ...args] = lab.connectCommand(agent, service, extra);
  return lab.keep(new ManagedProcess(command!, args, { cwd: lab.directory, stdin: true }));
}
