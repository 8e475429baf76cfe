// The manifests in k8s/, rendered by the real kubectl from a copy in which tests put secrets and change files.

import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Test } from 'tap';
import { parseAllDocuments, parseDocument } from 'yaml';
import { ROOT } from '../harness/lab.js';
import { requireTool, runTool } from '../harness/tools.js';
import type { KubernetesObject } from './kubernetes-object.js';

/** kubectl 1.21 brought kustomize 4; the older ones (Debian 12 has 1.20) take folders under the name `bases` only. */
const FIRST_WITH_FOLDERS_AS_RESOURCES = 21;

export class Manifests {
  readonly directory: string;
  readonly #kubectl: string;

  private constructor(directory: string, kubectl: string) {
    this.directory = directory;
    this.#kubectl = kubectl;
  }

  /** Undefined without kubectl: the test is over then (see `requireTool`). */
  static async copy(t: Test): Promise<Manifests | undefined> {
    const kubectl = requireTool(t, 'kubectl');
    if (kubectl === undefined) return undefined;
    const directory = join(t.testdir({}), 'k8s');
    cpSync(join(ROOT, 'k8s'), directory, { recursive: true });
    if ((await minorVersion(kubectl)) < FIRST_WITH_FOLDERS_AS_RESOURCES) for (const file of kustomizations(directory)) nameFoldersBases(file);
    return new Manifests(directory, kubectl);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string): void {
    writeFileSync(this.path(name), text);
  }

  /** Some content for every secret that an overlay is made of, for tests that only look at the objects. */
  fillIn(overlay: string): void {
    for (const folder of ['intermediate-server', 'app-connector', 'sample-app'])
      for (const file of ['tls.crt', 'tls.key', 'ca.crt', 'keyring.yaml', 'registration.yaml']) this.write(`overlays/${overlay}/${folder}/secrets/${file}`, 'stands in for a secret\n');
  }

  /** @throws Error with what kubectl said */
  async render(folder: string): Promise<KubernetesObject[]> {
    const { exit, stdout, stderr } = await runTool(this.#kubectl, ['kustomize', this.path(folder)]);
    if (exit !== 0) throw new Error(`kubectl kustomize ${folder} exited with ${exit}: ${stderr}`);
    if (stderr !== '') throw new Error(`kubectl kustomize ${folder} warned: ${stderr}`);
    // YAML 1.1 is what Kubernetes reads.
    return parseAllDocuments(stdout.toString(), { version: '1.1' }).map((document) => document.toJS() as KubernetesObject);
  }

  /** Every folder with a kustomization, relative to k8s/. */
  folders(): string[] {
    return kustomizations(this.directory).map((file) => dirname(file).slice(this.directory.length + 1)).sort();
  }
}

const kustomizations = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => /(^|\/)kustomization\.yaml$/.test(name)).map((name) => join(directory, name));

const minorVersion = async (kubectl: string): Promise<number> => {
  const { stdout } = await runTool(kubectl, ['version', '--client', '--output=json']);
  const { clientVersion } = JSON.parse(stdout.toString()) as { clientVersion: { minor: string } };
  return Number.parseInt(clientVersion.minor, 10);
};

const nameFoldersBases = (file: string): void => {
  const document = parseDocument(readFileSync(file, 'utf8'));
  const { resources = [] } = document.toJS() as { resources?: string[] };
  const isFolder = (name: string): boolean => statSync(resolve(dirname(file), name)).isDirectory();
  document.set('resources', resources.filter((name) => !isFolder(name)));
  document.set('bases', resources.filter(isFolder));
  writeFileSync(file, document.toString());
};
