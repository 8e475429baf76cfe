// What an operator does before applying an overlay: a CA, and the commands of each secrets/README.md, run as they are
// written there. For the cert-manager overlay also what cert-manager does: a certificate as a Certificate asks for it.

import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ROOT, TRUST_DOMAIN } from '../harness/lab.js';
import { findTool, runTool } from '../harness/tools.js';
import type { Certificate, Secret } from './kubernetes-object.js';
import type { Manifests } from './manifests.js';

/** Clients first, as the page of the relay says: the keyring has to hold their keys. */
const IN_ORDER = ['sample-app', 'app-connector', 'intermediate-server'];

export class Operator {
  readonly pki: string;
  readonly #manifests: Manifests;

  private constructor(manifests: Manifests) {
    this.#manifests = manifests;
    this.pki = join(manifests.directory, '..', 'pki');
  }

  /** With a CA, and an agent `alice` and a scraper `prometheus` that have certificates of it. */
  static async start(manifests: Manifests): Promise<Operator> {
    const operator = new Operator(manifests);
    await operator.certs('init', '--dir', operator.pki, '--trust-domain', TRUST_DOMAIN);
    for (const agent of ['alice', 'prometheus']) await operator.certs('issue', 'agent', agent, '--dir', operator.pki);
    await operator.certs('keygen', '--key-id', 'alice', '--role', 'agent', '--identity', 'alice', '--out', operator.pki, '--keyring', operator.path('keyring.yaml'));
    return operator;
  }

  path(name: string): string {
    return join(this.pki, name);
  }

  /** Runs what the pages of an overlay say. */
  async prepare(overlay: string): Promise<void> {
    for (const folder of IN_ORDER) {
      const directory = `overlays/${overlay}/${folder}/secrets`;
      const page = readFileSync(this.#manifests.path(`${directory}/README.md`), 'utf8');
      const [, script] = /^```sh\n([^]*?)^```$/m.exec(page) ?? [];
      if (script === undefined) throw new Error(`${directory}/README.md has no commands`);
      await run('sh', ['-euc', `cd "$0"\n${script}`, this.#manifests.path(directory)], { PKI: this.pki, PATH: `${join(ROOT, 'node_modules', '.bin')}${delimiter}${process.env.PATH ?? ''}` });
    }
  }

  /** A key, a request and a certificate with openssl: names, usages and key as the Certificate says, nothing else. */
  async issue({ metadata, spec }: Certificate): Promise<Secret> {
    const usage = spec.usages.filter((one) => one.endsWith(' auth')).map((one) => ({ 'client auth': 'clientAuth', 'server auth': 'serverAuth' })[one]!);
    const extensions = [
      'basicConstraints=critical,CA:FALSE',
      'keyUsage=critical,digitalSignature',
      `extendedKeyUsage=${usage.join(',')}`,
      `subjectAltName=${[...spec.uris.map((uri) => `URI:${uri}`), ...spec.dnsNames.map((name) => `DNS:${name}`)].join(',')}`,
    ];
    const { privateKey } = spec;
    if (privateKey.algorithm !== 'ECDSA' || privateKey.size !== 256 || privateKey.encoding !== 'PKCS8') throw new Error(`no key like ${JSON.stringify(privateKey)}`);
    const key = this.path(`${spec.secretName}-${spec.commonName}.key`);
    const certificate = key.replace(/key$/, 'crt');
    const openssl = findTool('openssl')!;
    await run(openssl, ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    await run(openssl, [
      'req', '-x509', '-new', '-key', key, '-subj', `/CN=${spec.commonName}`, '-days', '90', '-config', '/dev/null',
      ...extensions.flatMap((extension) => ['-addext', extension]), '-CA', this.path('ca.crt'), '-CAkey', this.path('ca.key'), '-out', certificate,
    ]);
    const data = { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': this.path('ca.crt') };
    return {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: { name: spec.secretName, namespace: metadata.namespace! },
      data: Object.fromEntries(Object.entries(data).map(([name, path]) => [name, readFileSync(path).toString('base64')])),
    };
  }

  async certs(...args: readonly string[]): Promise<void> {
    await run(process.execPath, [join(ROOT, 'certs', 'dist', 'main.js'), ...args]);
  }
}

const run = async (command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<void> => {
  const { exit, stderr } = await runTool(command, args, { env });
  if (exit !== 0) throw new Error(`${command} ${args.join(' ')} exited with ${exit}: ${stderr}`);
};
