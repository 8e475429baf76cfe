// Every folder of k8s/ renders with the real kubectl, and every object is of its schema.

import t from 'tap';
import { edited } from './edit.js';
import { called, ofKind, type KubernetesObject } from './kubernetes-object.js';
import { Manifests } from './manifests.js';
import { schemaFaults } from './schema-check.js';

const OVERLAYS = ['self-managed', 'cert-manager'];

void t.test('every folder renders without a warning, and every object is of its schema', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  for (const overlay of OVERLAYS) manifests.fillIn(overlay);
  const objects: KubernetesObject[] = [];
  for (const folder of manifests.folders()) {
    const rendered = await manifests.render(folder);
    t.ok(rendered.length > 0, folder);
    objects.push(...rendered);
  }
  t.strictSame(await schemaFaults(objects), []);
  t.strictSame(
    [...new Set(objects.map(({ kind }) => kind))].sort(),
    ['Certificate', 'ConfigMap', 'Deployment', 'Issuer', 'Namespace', 'NetworkPolicy', 'PodDisruptionBudget', 'Role', 'RoleBinding', 'Secret', 'Service', 'ServiceAccount'],
  );
});

void t.test('an overlay is exactly its folders and the namespace they share', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  for (const overlay of OVERLAYS) {
    manifests.fillIn(overlay);
    const parts = ['base/namespace', ...['intermediate-server', 'app-connector', 'sample-app'].map((folder) => `overlays/${overlay}/${folder}`)];
    const rendered = await Promise.all(parts.map((part) => manifests.render(part)));
    const whole = await manifests.render(`overlays/${overlay}`);
    t.strictSame(whole.map(asText).sort(), rendered.flat().map(asText).sort(), overlay);
  }
});

void t.test('an overlay without its secrets does not render, and says which file is missing', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  await t.rejects(manifests.render('overlays/self-managed/intermediate-server'), { message: /secrets\/(tls\.crt|tls\.key|ca\.crt|keyring\.yaml)/ });
  await t.rejects(manifests.render('overlays/cert-manager/app-connector'), { message: /secrets\/registration\.yaml/ });
});

void t.test('what is not of its schema is found', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  manifests.fillIn('cert-manager');
  const objects = await manifests.render('overlays/cert-manager/intermediate-server');
  const container = 'spec/template/spec/containers/0';
  const cases: [what: string, object: string, path: string, value?: unknown][] = [
    ['a misspelled field', 'Deployment', `${container}/securityContext/readOnlyRootFileSystem`, true],
    ['a field at the wrong depth', 'Deployment', 'spec/securityContext', {}],
    ['a word out of a closed set', 'Service', 'spec/externalTrafficPolicy', 'local'],
    ['text for a number', 'Deployment', 'spec/replicas', '1'],
    ['a fraction of a second', 'Deployment', 'spec/template/spec/terminationGracePeriodSeconds', 1.5],
    ['a number for text', 'Deployment', `${container}/env/0/value`, 65532],
    ['a missing field', 'Deployment', `${container}/name`],
    ['a number that is too large', 'Deployment', 'spec/replicas', 2 ** 31],
    ['an unknown key usage', 'Certificate', 'spec/usages/1', 'server-auth'],
    ['a certificate without a place', 'Certificate', 'spec/secretName'],
    ['a service account without a name', 'Issuer', 'spec/vault/auth/kubernetes/serviceAccountRef', { nmae: 'ztna-relay-issuer' }],
    ['an unknown kind', 'Service', 'kind', 'Servise'],
    ['an old version', 'PodDisruptionBudget', 'apiVersion', 'policy/v9'],
  ];
  for (const [what, kind, path, value] of cases) {
    const [object] = ofKind(objects, kind);
    t.not((await schemaFaults(edited([object!], called(object!), path, value))).length, 0, what);
  }
});

function asText(object: KubernetesObject): string {
  return `${called(object)} ${JSON.stringify(object)}`;
}
