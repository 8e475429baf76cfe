// The processes as their manifests start them: arguments, environment, user, mounted files and probes of both overlays, with
// traffic from an agent to both kinds of connector; what arrives in a running pod; and its end.

import { once } from 'node:events';
import { chmodSync, readFileSync } from 'node:fs';
import { connect } from 'node:tls';
import t, { type Test } from 'tap';
import { parse, stringify } from 'yaml';
import { fetchHealth } from '../harness/scrape.js';
import { startCluster, type Cluster, type RunningPod } from './cluster.js';
import { find, ofKind, type Certificate, type KubernetesObject, type Secret } from './kubernetes-object.js';
import { Manifests } from './manifests.js';
import { IS_ROOT } from './mounted-volumes.js';
import { Operator } from './operator.js';

void t.test('self-managed', async (t) => {
  const deployed = await deploy(t, 'self-managed');
  if (!deployed) return;
  const { cluster } = deployed;
  const { relay, port } = cluster;

  await t.test('every container starts as its manifest says, and carries traffic', (t) => passesTraffic(t, cluster));
  await t.test('every probe of every container succeeds', (t) => passesProbes(t, cluster));
  await t.test('user, group, rights and environment are those of the manifest, and the journal can be written', async (t) => runsAsItShould(t, cluster));

  await t.test('a changed policy arrives as the kubelet writes it, and counts', async (t) => {
    const read = relay.process.waitForNext(({ event }) => event === 'reloaded', 'reloaded');
    relay.pod.update('intermediate-server', '/etc/ztna', { 'policy.yaml': stringify({ rules: [{ allow: ['alice'], services: ['web'] }] }) });
    await read;
    await t.rejects(fetchHealth(`127.0.0.1:${port('sample')}`, '/'));
    t.match(await fetchHealth(`127.0.0.1:${port('web')}`, '/hello'), { status: 200 });
  });

  await t.test('a key that everybody can read is refused, though its group may', { skip: !IS_ROOT && 'only root can give files to a group' }, async (t) => {
    chmodSync(relay.pod.path('intermediate-server', '/etc/ztna/tls/tls.key'), 0o444);
    relay.process.child.kill('SIGHUP');
    const { reason } = await relay.process.waitFor('reload_refused');
    t.match(reason, /tls\.key holds a secret but has mode 0444/);
  });

  await t.test('a relay that drains is alive but not ready while a session lasts, and ends in good order', async (t) => {
    const slow = new AbortController();
    const transfer = await fetch(`http://127.0.0.1:${port('web')}/bytes/1/1000000000`, { signal: slow.signal });
    t.equal(transfer.status, 200);
    const stopping = Date.now();
    relay.process.child.kill('SIGTERM');
    await relay.process.waitFor('stopping');
    t.equal(await relay.pod.probe('intermediate-server', 'readinessProbe'), false);
    t.equal(await relay.pod.probe('intermediate-server', 'livenessProbe'), true);
    slow.abort();
    t.equal(await relay.process.exited, 0);
    t.ok(Date.now() - stopping < relay.pod.spec.terminationGracePeriodSeconds! * 1000, 'before the kubelet would kill it');
    t.ok(relay.process.events.some(({ event }) => event === 'stopped'));
  });
});

void t.test('cert-manager', async (t) => {
  const deployed = await deploy(t, 'cert-manager');
  if (!deployed) return;
  const { cluster, objects, operator } = deployed;
  const { relay } = cluster;

  await t.test('certificates as its Certificates ask for them carry traffic', (t) => passesTraffic(t, cluster));
  await t.test('every probe of every container succeeds', (t) => passesProbes(t, cluster));

  await t.test('a renewed certificate arrives in the relay without a restart', async (t) => {
    const servedBefore = await fingerprintAt(relay.healthPort);
    const renewed = await operator.issue(find<Certificate>(objects, 'Certificate', 'ztna', 'intermediate-server'));
    const read = relay.process.waitForNext(({ event }) => event === 'reloaded', 'reloaded');
    relay.pod.update('intermediate-server', '/etc/ztna/tls', decoded(renewed));
    await read;
    t.not(await fingerprintAt(relay.healthPort), servedBefore);
    await passesTraffic(t, cluster);
  });
});

interface Deployed {
  readonly cluster: Cluster;
  readonly objects: readonly KubernetesObject[];
  readonly operator: Operator;
}

/** The whole overlay, rendered as an operator would apply it. */
async function deploy(t: Test, overlay: string): Promise<Deployed | undefined> {
  const manifests = await Manifests.copy(t);
  if (!manifests) return undefined;
  const operator = await Operator.start(manifests);
  await operator.prepare(overlay);
  const rendered = await manifests.render(`overlays/${overlay}`);
  const issued = await Promise.all(ofKind<Certificate>(rendered, 'Certificate').map((certificate) => operator.issue(inTrustDomain(certificate))));
  const objects = [...rendered.map((object) => (object.kind === 'Certificate' ? inTrustDomain(object as Certificate) : object)), ...issued];
  return { cluster: await startCluster(t, objects, operator), objects, operator };
}

/** The manifests' trust domain is an example; an operator puts their own. */
function inTrustDomain(certificate: Certificate): Certificate {
  return JSON.parse(JSON.stringify(certificate).replaceAll('corp.example', 'example.test')) as Certificate;
}

function decoded({ data }: Secret): Record<string, string> {
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64').toString()]));
}

async function passesTraffic(t: Test, { port }: Cluster): Promise<void> {
  t.match(await fetchHealth(`127.0.0.1:${port('web')}`, '/hello'), { status: 200, body: 'hello from behind' }, 'through the stand-alone connector');
  t.match(await fetchHealth(`127.0.0.1:${port('sample')}`, '/'), { status: 200, body: 'hello from the sample app\n' }, 'through the connector beside the sample app');
}

async function passesProbes(t: Test, { relay, connector, sidecar }: Cluster): Promise<void> {
  for (const { pod } of [relay, connector, sidecar])
    for (const { name } of pod.spec.containers)
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const) t.equal(await pod.probe(name, probe), true, `${name}: ${probe}`);
}

/** The kernel's word on user, groups, rights; and the journal where the manifest has room for it. */
function runsAsItShould(t: Test, { relay, connector, sidecar }: Cluster): void {
  t.match(parse(readFileSync(relay.pod.path('intermediate-server', '/etc/ztna/relay.yaml'), 'utf8')), { journal: relay.pod.path('intermediate-server', '/var/lib/ztna/relay.journal') });
  t.notOk(relay.process.events.some(({ event }) => event === 'journal_unwritable'), 'the journal can be written');
  if (!IS_ROOT) return;
  for (const { process } of [relay, connector, sidecar] satisfies RunningPod[]) {
    const status = readFileSync(`/proc/${process.pid}/status`, 'utf8');
    const field = (name: string): string | undefined => new RegExp(`^${name}:\\s+(.*?)\\s*$`, 'm').exec(status)?.[1];
    t.equal(field('Uid'), '65532\t65532\t65532\t65532');
    t.equal(field('Gid'), '65532\t65532\t65532\t65532');
    t.equal(field('Groups'), '65532');
    t.equal(field('CapEff'), '0'.repeat(16));
    t.equal(field('CapBnd'), '0'.repeat(16));
    t.equal(field('NoNewPrivs'), '1');
    t.match(readFileSync(`/proc/${process.pid}/environ`, 'utf8').split('\0').filter((one) => one !== '').sort(), ['PATH=/usr/bin', 'ZTNA_SECRETS_GROUP=65532']);
  }
}

/** Of the certificate that a port serves. */
async function fingerprintAt(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
