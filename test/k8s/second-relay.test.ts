// A second relay beside the first, by the lines that k8s/README.md has for it: each Service, policy and budget must choose
// the pod of its own relay, and of no other.

import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../harness/lab.js';
import type { KubernetesObject } from './kubernetes-object.js';
import { Manifests } from './manifests.js';

const NAME = 'app.kubernetes.io/name';

void t.test('a second relay has names, labels and selectors of its own', async (t) => {
  const manifests = await Manifests.copy(t);
  if (!manifests) return;
  manifests.fillIn('self-managed');
  const copy = manifests.path('overlays/self-managed/intermediate-server-2');
  cpSync(manifests.path('overlays/self-managed/intermediate-server'), copy, { recursive: true });
  const page = readFileSync(join(ROOT, 'k8s', 'README.md'), 'utf8');
  const [, lines] = /### A second relay[^]*?```yaml\n([^]*?)```/.exec(page)!;
  writeFileSync(join(copy, 'kustomization.yaml'), readFileSync(join(copy, 'kustomization.yaml'), 'utf8') + lines!);

  const first = await manifests.render('overlays/self-managed/intermediate-server');
  const second = await manifests.render('overlays/self-managed/intermediate-server-2');
  t.strictSame(second.map(({ kind, metadata: { name } }) => `${kind}/${name}`).sort(), first.map(({ kind, metadata: { name } }) => `${kind}/${name}-2`).sort());
  t.strictSame(selectors(first), Array(4).fill('intermediate-server'));
  t.strictSame(selectors(second), Array(4).fill('intermediate-server-2'));
  t.equal(podLabel(first), 'intermediate-server');
  t.equal(podLabel(second), 'intermediate-server-2');
  t.match(JSON.stringify(second.find(({ kind }) => kind === 'NetworkPolicy')), `"${NAME}":"prometheus"`);
});

interface Spec {
  readonly selector?: Record<string, string> & { matchLabels?: Record<string, string> };
  readonly podSelector?: { matchLabels: Record<string, string> };
  readonly template?: { metadata: { labels: Record<string, string> } };
}

const specOf = (object: KubernetesObject): Spec => (object as unknown as { spec?: Spec }).spec ?? {};

/** What Deployment, Service, PodDisruptionBudget and NetworkPolicy choose their pods by. */
function selectors(objects: readonly KubernetesObject[]): (string | undefined)[] {
  return objects.map(specOf).flatMap(({ selector, podSelector }) => (selector ?? podSelector ? [(selector?.matchLabels ?? selector ?? podSelector!.matchLabels)[NAME]] : []));
}

function podLabel(objects: readonly KubernetesObject[]): string | undefined {
  return objects.map(specOf).find(({ template }) => template)?.template!.metadata.labels[NAME];
}
