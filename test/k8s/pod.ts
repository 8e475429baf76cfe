// A pod without a cluster: its containers' processes with exactly the arguments, environment, user and files that a rendered
// Deployment gives them. What cannot be the same is rewritten: the root that paths start at, and addresses.

import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { ROOT } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { findTool, runTool } from '../harness/tools.js';
import { find, type ConfigMap, type Container, type Deployment, type KubernetesObject, type PodSpec, type Probe, type Secret, type Volume } from './kubernetes-object.js';
import { IS_ROOT, writeEmptyDirectory, writeVolume, type Layout } from './mounted-volumes.js';

/** What an image starts, before the container's own `args`. */
const ENTRY_POINTS: Readonly<Record<string, readonly string[]>> = {
  'ztna/intermediate-server': [process.execPath, join(ROOT, 'intermediate-server', 'dist', 'main.js')],
  'ztna/app-connector': [process.execPath, join(ROOT, 'app-connector', 'dist', 'main.js')],
};

export interface PodInit {
  readonly objects: readonly KubernetesObject[];
  readonly namespace: string;
  readonly name: string;
  /** A folder of this test's own. */
  readonly directory: string;
  /** `[from, to]` in files and environment; each has to be found somewhere. */
  readonly addresses?: readonly (readonly [string, string])[];
  /** Where the kubelet finds the port named `health` of containers. */
  readonly healthPort: number;
}

export class Pod {
  readonly spec: PodSpec;
  readonly #init: PodInit;
  readonly #found = new Set<string>();

  constructor(init: PodInit) {
    this.#init = init;
    this.spec = find<Deployment>(init.objects, 'Deployment', init.namespace, init.name).spec.template.spec;
  }

  container(name: string): Container {
    const container = this.spec.containers.find((one) => one.name === name);
    if (!container) throw new Error(`no container ${name}`);
    return container;
  }

  /** Mounts its volumes and starts it. @param keep takes the process, to end it with the test */
  start(name: string, keep: (process: ManagedProcess) => void): ManagedProcess {
    const container = this.container(name);
    // Parents first: /etc/ztna before /etc/ztna/tls.
    for (const { name: volume, mountPath } of [...(container.volumeMounts ?? [])].sort((a, b) => a.mountPath.length - b.mountPath.length)) this.#mount(name, volume, mountPath);
    const [program, ...args] = this.#command(name, [...this.#entryPoint(container), ...(container.args ?? [])]);
    const child = new ManagedProcess(program!, args);
    keep(child);
    return child;
  }

  /** As a changed ConfigMap or Secret arrives in a running pod. */
  update(name: string, mountPath: string, files: Readonly<Record<string, string>>): void {
    const { name: volume } = this.container(name).volumeMounts!.find((mount) => mount.mountPath === mountPath)!;
    const content = Object.entries(files).map(([file, text]) => [file, Buffer.from(this.#rewrite(name, text))] as const);
    writeVolume(this.#layout(this.#volume(volume), this.path(name, mountPath)), { ...this.#content(name, this.#volume(volume)), ...Object.fromEntries(content) });
  }

  /** A rewriting that nothing needed is one that was not done. Ask once all containers are started. */
  checkAddresses(): void {
    for (const [from] of this.#init.addresses ?? []) if (!this.#found.has(from)) throw new Error(`${from} is nowhere in what ${this.#init.name} is given`);
  }

  /** Where a path of a container is on this machine. */
  path(container: string, path: string): string {
    return join(this.#init.directory, this.#init.namespace, this.#init.name, container, path);
  }

  /** Asks as a kubelet does, which takes any certificate. True: the probe succeeded. */
  async probe(name: string, which: 'startupProbe' | 'livenessProbe' | 'readinessProbe'): Promise<boolean> {
    const { exec, httpGet: get }: Probe = this.container(name)[which]!;
    if (exec) {
      const [program, ...args] = this.#command(name, exec.command);
      return (await runTool(program!, args)).exit === 0;
    }
    const { ports = [] } = this.container(name);
    const port = ports.find((one) => one.name === get!.port);
    if (port?.protocol !== 'TCP') throw new Error(`no TCP port ${get!.port} in ${name}`);
    const status = await statusOf(get!.scheme ?? 'HTTP', this.#init.healthPort, get!.path);
    return status >= 200 && status < 400;
  }

  /** The image's program with the pod's user and nothing else of this machine: no environment, no rights to gain. */
  #command(name: string, command: readonly string[]): string[] {
    const { env = [] } = this.container(name);
    const variables = env.map((variable) => `${variable.name}=${this.#rewrite(name, variable.value!)}`);
    const [program, ...args] = command.map((word) => this.#rewrite(name, word));
    return [...this.#asUser(), '/usr/bin/env', '-i', 'PATH=/usr/bin', ...variables, program === 'node' ? process.execPath : program!, ...args];
  }

  #asUser(): string[] {
    const { runAsUser, runAsGroup, fsGroup } = this.spec.securityContext!;
    const setpriv = findTool('setpriv');
    if (!IS_ROOT || setpriv === undefined) return [];
    return [setpriv, `--reuid=${runAsUser!}`, `--regid=${runAsGroup!}`, `--groups=${fsGroup!}`, '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'];
  }

  #entryPoint({ image, command }: Container): readonly string[] {
    if (command) return command;
    const entryPoint = ENTRY_POINTS[image.replace(/[:@].*$/, '')];
    if (!entryPoint) throw new Error(`it is not known what ${image} starts`);
    return entryPoint;
  }

  #mount(container: string, name: string, mountPath: string): void {
    const volume = this.#volume(name);
    const directory = this.path(container, mountPath);
    if (volume.emptyDir) writeEmptyDirectory(directory, this.spec.securityContext!.fsGroup!);
    else writeVolume(this.#layout(volume, directory), this.#content(container, volume));
  }

  #volume(name: string): Volume {
    return this.spec.volumes!.find((volume) => volume.name === name)!;
  }

  #layout({ secret }: Volume, directory: string): Layout {
    return { directory, mode: secret?.defaultMode ?? 0o644, fsGroup: this.spec.securityContext!.fsGroup! };
  }

  #content(container: string, { configMap, secret }: Volume): Record<string, Buffer> {
    const { objects, namespace } = this.#init;
    if (configMap) {
      const { data } = find<ConfigMap>(objects, 'ConfigMap', namespace, configMap.name);
      return Object.fromEntries(Object.entries(data).map(([name, text]) => [name, Buffer.from(this.#rewrite(container, text))]));
    }
    const { data } = find<Secret>(objects, 'Secret', namespace, secret!.secretName);
    return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, Buffer.from(value, 'base64')]));
  }

  /** Mount paths at the start of a word, and the addresses that were asked for. */
  #rewrite(container: string, text: string): string {
    let rewritten = text;
    for (const [from, to] of this.#init.addresses ?? []) {
      if (rewritten.includes(from)) this.#found.add(from);
      rewritten = rewritten.replaceAll(from, to);
    }
    const mounts = (this.container(container).volumeMounts ?? []).map(({ mountPath }) => mountPath);
    return rewritten.replaceAll(/(?<=^|\s)\/[\w./-]+/g, (path) => (mounts.some((mount) => path.startsWith(`${mount}/`)) ? this.path(container, path) : path));
  }
}

const statusOf = (scheme: string, port: number, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false as const, timeout: 5000 };
    const request = scheme === 'HTTPS' ? httpsGet({ ...options, rejectUnauthorized: false }) : httpGet(options);
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    request.on('error', (error: NodeJS.ErrnoException) => (error.code === 'ECONNREFUSED' ? resolve(0) : reject(error)));
    request.on('timeout', () => request.destroy(new Error(`${path} did not answer`)));
  });
