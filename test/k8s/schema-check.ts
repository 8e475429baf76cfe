// Kubernetes objects against their schemas, without a cluster or a network. The schemas are those that the Kubernetes and
// cert-manager projects publish (OpenAPI), as the packages kubernetes-models and @kubernetes-models/cert-manager carry
// them: as TypeScript types, where the compiler finds unknown fields, missing ones and words out of a closed set, and as
// compiled validators, which know formats.

import { join } from 'node:path';
import ts from 'typescript';
import { ROOT } from '../harness/lab.js';
import { called, type KubernetesObject } from './kubernetes-object.js';

/** apiVersion → the module that knows its kinds. */
const moduleOf = (apiVersion: string): string => `${apiVersion.startsWith('cert-manager.io/') ? '@kubernetes-models/cert-manager' : 'kubernetes-models'}/${apiVersion}`;

interface Model {
  validate(): void;
}

/** What is wrong with them, each fault with its object; empty when all is well. */
export const schemaFaults = async (rendered: readonly KubernetesObject[]): Promise<string[]> => {
  const objects = rendered.map(inOlderWords);
  const validated = await Promise.all(objects.map(validatorFaults));
  return [...typeFaults(objects), ...validated.flat()];
};

const validatorFaults = async (object: KubernetesObject): Promise<string[]> => {
  const models = (await import(moduleOf(object.apiVersion)).catch(() => ({}))) as Readonly<Record<string, new (data: object) => Model>>;
  const model = models[object.kind];
  if (!model) return [`${called(object)}: no kind of ${object.apiVersion}`];
  try {
    new model(object).validate();
    return [];
  } catch (error) {
    return [`${called(object)}: ${error instanceof Error ? error.message : String(error)}`];
  }
};

/** One module with a constant for each object, typed as its kind; never emitted. */
const typeFaults = (objects: readonly KubernetesObject[]): string[] => {
  const file = join(ROOT, 'test', 'k8s', 'rendered-objects.ts');
  const lines = objects.map((object, index) => {
    const { apiVersion, kind } = object;
    return `import type { I${kind} as K${index} } from ${JSON.stringify(moduleOf(apiVersion))}; export const o${index}: K${index} = ${JSON.stringify(object)};`;
  });
  const options: ts.CompilerOptions = {
    strict: true, noEmit: true, skipLibCheck: true, types: [], target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const source = ts.createSourceFile(file, lines.join('\n'), ts.ScriptTarget.ES2022);
  const withSource: ts.CompilerHost = { ...host, fileExists: (name) => name === file || host.fileExists(name), getSourceFile: (name, ...rest) => (name === file ? source : host.getSourceFile(name, ...rest)) };
  return ts.getPreEmitDiagnostics(ts.createProgram([file], options, withSource)).map(({ messageText, file: at, start }) => {
    const line = at && start !== undefined ? at.getLineAndCharacterOfPosition(start).line : undefined;
    const object = line === undefined ? undefined : objects[line];
    return `${object ? called(object) : '?'}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
  });
};

interface VaultIssuer extends KubernetesObject {
  readonly spec: { readonly vault?: { readonly auth: { readonly kubernetes?: Readonly<Record<string, unknown>> } } };
}

/**
 * The one field here that is newer than the package's cert-manager schemas: since 1.12 an issuer for Vault may name a service
 * account (`serviceAccountRef: {name}`), where it had to name a Secret with that account's token.
 */
const inOlderWords = (object: KubernetesObject): KubernetesObject => {
  if (object.kind !== 'Issuer') return object;
  const copy = structuredClone(object) as VaultIssuer;
  const kubernetes = copy.spec.vault?.auth.kubernetes as Record<string, unknown> | undefined;
  if (kubernetes && isNameOnly(kubernetes.serviceAccountRef)) {
    kubernetes.secretRef = kubernetes.serviceAccountRef;
    delete kubernetes.serviceAccountRef;
  }
  return copy;
};

const isNameOnly = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).join() === 'name' && typeof (value as { name: unknown }).name === 'string';
