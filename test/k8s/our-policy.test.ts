// Both overlays, with real secrets in place, break none of our own rules; and each rule finds what it is for.

import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { ROOT } from '../harness/lab.js';
import { edited } from './edit.js';
import { ofKind, type Deployment, type KubernetesObject } from './kubernetes-object.js';
import { Manifests } from './manifests.js';
import { Operator } from './operator.js';
import { violations } from './our-policy.js';

const RELAY = 'Deployment ztna/intermediate-server';
const POD = 'spec/template/spec';
const CONTAINER = `${POD}/containers/0`;
const TLS_VOLUME = `${POD}/volumes/1`;
const STATE_VOLUME = `${POD}/volumes/3`;

for (const overlay of ['self-managed', 'cert-manager'])
  void t.test(`the overlay ${overlay}, with its secrets, breaks no rule`, async (t) => {
    const prepared = await prepare(t, overlay);
    if (prepared) t.strictSame(violations(prepared.objects), []);
  });

void t.test('each rule finds what it is for, in the relay and what belongs to it', async (t) => {
  const prepared = await prepare(t, 'self-managed');
  if (!prepared) return;
  const { objects, operator } = prepared;
  const read = (name: string): string => readFileSync(operator.path(name), 'utf8');
  const cases: [mistake: string, found: RegExp, object: string, path?: string, value?: unknown][] = [
    ['an image by name alone', /container intermediate-server: image ztna\/intermediate-server is pinned by neither/, RELAY, `${CONTAINER}/image`, 'ztna/intermediate-server'],
    ['the tag latest', /image with the tag latest/, RELAY, `${CONTAINER}/image`, 'ztna/intermediate-server:latest'],
    ['a digest that is none', /is pinned by neither/, RELAY, `${CONTAINER}/image`, 'ztna/intermediate-server@sha256:abc'],
    ['no memory limit', /no memory in resources\.limits/, RELAY, `${CONTAINER}/resources/limits/memory`],
    ['no resources', /no cpu in resources\.requests/, RELAY, `${CONTAINER}/resources`],
    ['no readiness probe', /no readinessProbe/, RELAY, `${CONTAINER}/readinessProbe`],
    ['privileged', /: privileged$/, RELAY, `${CONTAINER}/securityContext/privileged`, true],
    ['escalation left open', /may escalate privileges/, RELAY, `${CONTAINER}/securityContext/allowPrivilegeEscalation`],
    ['a writable root', /root file system is writable/, RELAY, `${CONTAINER}/securityContext/readOnlyRootFilesystem`, false],
    ['a capability kept', /keeps capabilities/, RELAY, `${CONTAINER}/securityContext/capabilities/drop`, ['NET_RAW']],
    ['a capability added', /adds capabilities/, RELAY, `${CONTAINER}/securityContext/capabilities/add`, ['NET_BIND_SERVICE']],
    ['root in a container', /runs as root/, RELAY, `${CONTAINER}/securityContext/runAsUser`, 0],
    ['root in the pod', /user and group are not said/, RELAY, `${POD}/securityContext/runAsUser`, 0],
    ['nothing against root', /may run as root/, RELAY, `${POD}/securityContext/runAsNonRoot`],
    ['no seccomp', /no seccomp profile/, RELAY, `${POD}/securityContext/seccompProfile`],
    ['the network of the node', /shares a namespace of the node/, RELAY, `${POD}/hostNetwork`, true],
    ['a port of the node', /takes a port of the node/, RELAY, `${CONTAINER}/ports/0/hostPort`, 4433],
    ['a folder of the node', /volume state is none of/, RELAY, STATE_VOLUME, { name: 'state', hostPath: { path: '/' } }],
    ['a volume without bound', /volume state has no size limit/, RELAY, `${STATE_VOLUME}/emptyDir/sizeLimit`],
    ['a token for the cluster in a pod', /^Deployment .* mounts a token for the cluster/, RELAY, `${POD}/automountServiceAccountToken`],
    ['a token for the cluster in an account', /^ServiceAccount .* mounts a token/, 'ServiceAccount ztna/intermediate-server', 'automountServiceAccountToken', true],
    ['the default service account', /no service account of its own/, RELAY, `${POD}/serviceAccountName`, 'default'],
    ['a key in a ConfigMap', /^ConfigMap ztna\/intermediate-server: a secret in relay\.key$/, 'ConfigMap ztna/intermediate-server', 'data/relay.key', read('relay-1.key')],
    ['a registration key in a ConfigMap', /a secret in client\.regkey/, 'ConfigMap ztna/intermediate-server', 'data/client.regkey', read('connector-1.regkey')],
    ['a secret in the environment', /a secret in its environment/, RELAY, `${CONTAINER}/env/1`, { name: 'KEY', valueFrom: { secretKeyRef: { name: 'x', key: 'y' } } }],
    ['an environment from elsewhere', /environment from elsewhere/, RELAY, `${CONTAINER}/envFrom`, [{ secretRef: { name: 'x' } }]],
    ['a key in a second container too', /secret volume tls is mounted in 2 containers/, RELAY, `${POD}/containers/1`, { name: 'debug', image: 'debug:1', volumeMounts: [{ name: 'tls', mountPath: '/tls' }] }],
    ['a secret for everybody', /secret volume tls has no mode 0400/, RELAY, `${TLS_VOLUME}/secret/defaultMode`],
    ['another group than the files have', /ZTNA_SECRETS_GROUP is not the fsGroup/, RELAY, `${POD}/securityContext/fsGroup`, 1000],
    ['a writable secret', /secret volume tls is writable/, RELAY, `${CONTAINER}/volumeMounts/1/readOnly`],
    ["the CA's key in a Secret", /^Secret ztna\/intermediate-server-tls: the private key of a CA$/, 'Secret ztna/intermediate-server-tls', 'data/ca.key', Buffer.from(read('ca.key')).toString('base64')],
    ["the CA's key in place of the relay's", /^Secret ztna\/intermediate-server-tls: the private key of a CA$/, 'Secret ztna/intermediate-server-tls', 'data/tls.key', Buffer.from(read('ca.key')).toString('base64')],
    ['a namespace that is open', /Namespace ztna: no policy denies/, 'NetworkPolicy ztna/default-deny'],
    ['a denial with an exception', /Namespace ztna: no policy denies/, 'NetworkPolicy ztna/default-deny', 'spec/egress', [{}]],
    ['a denial of one direction', /Namespace ztna: no policy denies/, 'NetworkPolicy ztna/default-deny', 'spec/policyTypes', ['Ingress']],
    ['a denial for some', /Namespace ztna: no policy denies/, 'NetworkPolicy ztna/default-deny', 'spec/podSelector', { matchLabels: { a: 'b' } }],
    ['a namespace without a standard', /Namespace sample-app: does not enforce/, 'Namespace sample-app'],
    ['less grace than draining takes', /is killed after 60 s, before 60s of draining are over/, RELAY, `${POD}/terminationGracePeriodSeconds`, 60],
    ['a selector that finds nothing', /PodDisruptionBudget ztna\/intermediate-server: selects no pod/, 'PodDisruptionBudget ztna/intermediate-server', 'spec/selector/matchLabels', { app: 'relay' }],
    ['a port that is not there', /Service ztna\/intermediate-server: no port udp\/UDP/, 'Service ztna/intermediate-server', 'spec/ports/0/targetPort', 'udp'],
    ['a port of the other protocol', /Service ztna\/intermediate-server: no port quic\/TCP/, 'Service ztna/intermediate-server', 'spec/ports/0/protocol', 'TCP'],
    ['a rule for a port that is not there', /NetworkPolicy ztna\/intermediate-server: no port metrics\/TCP/, 'NetworkPolicy ztna/intermediate-server', 'spec/ingress/1/ports/0/port', 'metrics'],
    ['a Secret that nobody makes', /no Secret intermediate-server-keyring/, 'Secret ztna/intermediate-server-keyring'],
    ['a mount without a volume', /no volume state/, RELAY, STATE_VOLUME],
    ['a balancer that hides clients', /hides the addresses of clients/, 'Service ztna/intermediate-server', 'spec/externalTrafficPolicy'],
  ];
  for (const [mistake, pattern, ...change] of cases) {
    const found = violations(edited(objects, ...change));
    t.ok(found.some((one) => pattern.test(one)), mistake, { found });
  }
});

void t.test('each rule finds what it is for, where cert-manager issues', async (t) => {
  const prepared = await prepare(t, 'cert-manager');
  if (!prepared) return;
  const { objects } = prepared;
  t.match(violations(edited(objects, 'Certificate ztna/app-connector', undefined)), ['Deployment ztna/app-connector: no Secret app-connector-tls']);
  for (const kind of ['ca', 'selfSigned'])
    t.match(violations(edited(objects, 'Issuer ztna/ztna-relay', `spec/${kind}`, {})), ['Issuer ztna/ztna-relay: has the private key of a CA in the cluster']);
});

void t.test('images carry the version of the programs in them', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8')) as { version: string };
  const images = ofKind<Deployment>(await manifests.render('base'), 'Deployment').flatMap(({ spec }) => spec.template.spec.containers.map(({ image }) => image));
  t.strictSame([...new Set(images.filter((image) => image.startsWith('ztna/')))].sort(), [`ztna/app-connector:${version}`, `ztna/intermediate-server:${version}`]);
});

async function prepare(t: Test, overlay: string): Promise<{ objects: KubernetesObject[]; operator: Operator } | undefined> {
  const manifests = await Manifests.copy(t);
  if (!manifests) return undefined;
  const operator = await Operator.start(manifests);
  await operator.prepare(overlay);
  return { objects: await manifests.render(`overlays/${overlay}`), operator };
}
