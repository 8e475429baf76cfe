// A whole overlay for a test: a throw-away PKI in a temporary folder, and the real processes on
// loopback with configuration files as an operator would write them. Everything ends with the test.

import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { createAuthority, generateRegistrationKey, issueCertificate, type Authority, type RegistrationKeyRequest } from '@ztna/certs';
import { ManagedProcess, type SpawnOptions } from './managed-process.js';
import { assertNoSecretsShown, labSecrets } from './secret-scan.js';

export const TRUST_DOMAIN = 'example.test';
/** dist-test/harness → repository root. */
export const ROOT = resolve(fileURLToPath(new URL('.', import.meta.url)), '..', '..', '..');

const MAIN = {
  relay: join(ROOT, 'intermediate-server', 'dist', 'main.js'),
  connector: join(ROOT, 'app-connector', 'dist', 'main.js'),
  agent: join(ROOT, 'agent', 'dist', 'main.js'),
};

export interface ServiceConfig {
  readonly protocol?: 'tcp' | 'udp';
  /** host:port */
  readonly backend: string;
  /** Default '*'. */
  readonly allow?: readonly string[] | '*';
}

export interface ListenerConfig {
  readonly service: string;
  readonly protocol?: 'tcp' | 'udp';
  /** Default 127.0.0.1:0; see `Agent.address`. */
  readonly listen?: string;
}

export interface PolicyRule {
  readonly allow: readonly string[];
  readonly services: readonly string[];
}

/** Whose the lab is: a tap test, or a program with a temporary folder and an end of its own. */
export interface LabOwner {
  testdir(content: Record<string, never>): string;
  teardown(end: () => unknown): unknown;
}

/** A running agent and where its listeners are. */
export interface RunningAgent {
  readonly process: ManagedProcess;
  /** The port of the listener of a service. */
  port(service: string): number;
}

export class Lab {
  readonly directory: string;
  readonly authority: Authority;
  readonly #processes: ManagedProcess[] = [];
  readonly #keyring: unknown[] = [];
  #relayPort = 0;

  private constructor(directory: string, authority: Authority) {
    this.directory = directory;
    this.authority = authority;
    this.write('ca.crt', authority.certificatePem);
  }

  static create(t: LabOwner): Lab {
    const made: { lab?: Lab } = {};
    // Before the folder is asked for: tap removes it first when nothing was to be torn down before.
    t.teardown(() => made.lab?.finish());
    return (made.lab = new Lab(t.testdir({}), createAuthority({ trustDomain: TRUST_DOMAIN })));
  }

  /** The same outside a test: in an empty folder of the caller's, until its `stop`. */
  static at(directory: string): Lab {
    return new Lab(directory, createAuthority({ trustDomain: TRUST_DOMAIN }));
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  write(name: string, text: string, mode = 0o600): string {
    const path = this.path(name);
    mkdirSync(resolve(path, '..'), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  }

  /** NAME.crt and NAME.key. */
  issue(role: 'agent' | 'connector' | 'relay', name: string, services: readonly string[] = []): void {
    const { certificatePem, keyPem } = issueCertificate(this.authority, { role, name, services });
    this.write(`${name}.crt`, certificatePem);
    this.write(`${name}.key`, keyPem);
  }

  /** NAME.regkey, and its entry in the keyring of relays started later. */
  registrationKey(name: string, role: 'agent' | 'connector', services: readonly string[] = [], overrides: Partial<RegistrationKeyRequest> = {}): void {
    const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: name, scope: { role, identities: [name], services }, ...overrides });
    this.write(`${name}.regkey`, keyFileYaml);
    this.#keyring.push(keyringEntry);
  }

  /** Every process of this lab so far. */
  get processes(): readonly ManagedProcess[] {
    return this.#processes;
  }

  /** A client with certificate and registration key. */
  enrol(role: 'agent' | 'connector', name: string, services: readonly string[] = []): void {
    this.issue(role, name, services);
    this.registrationKey(name, role, services);
  }

  /** The script of the relay, for runs that should fail. */
  get relayProgram(): string {
    return MAIN.relay;
  }

  /** Port of the relay started last. */
  get relayPort(): number {
    return this.#relayPort;
  }

  /** `port` 0 picks one; give the earlier port to restart a relay where clients look for it. */
  async startRelay(policy: readonly PolicyRule[], { name = 'relay-1', port = 0, extra = {} }: { name?: string; port?: number; extra?: object } = {}): Promise<ManagedProcess> {
    return this.startRelayFrom(this.writeRelay(policy, { name, port, extra }));
  }

  /** Starts a relay from a configuration that was written, and waits until it listens. */
  async startRelayFrom(config: string): Promise<ManagedProcess> {
    const relay = this.run(MAIN.relay, ['run', '-c', config]);
    const { address } = await relay.waitFor('listening');
    this.#relayPort = portOf(String(address));
    return relay;
  }

  /** What `startRelay` starts a relay with; the path of its configuration. */
  writeRelay(policy: readonly PolicyRule[], { name = 'relay-1', port = 0, extra = {} }: { name?: string; port?: number; extra?: object } = {}): string {
    this.issue('relay', name);
    this.write('policy.yaml', stringify({ rules: policy }));
    this.write('keyring.yaml', stringify({ keys: this.#keyring }));
    const config = { listen: `127.0.0.1:${port}`, tls: this.tls(name), keyring: 'keyring.yaml', policy: 'policy.yaml', log: { level: 'debug' }, ...extra };
    return this.write(`${name}.yaml`, stringify(config));
  }

  /** Starts a relay anew as it was: same certificate, files and address. Resolves as soon as it listens. */
  async restartRelay(name = 'relay-1'): Promise<ManagedProcess> {
    const path = this.path(`${name}.yaml`);
    const config = parse(readFileSync(path, 'utf8')) as object;
    this.write(`${name}.yaml`, stringify({ ...config, listen: `127.0.0.1:${this.#relayPort}` }));
    const relay = this.run(MAIN.relay, ['run', '-c', path]);
    await relay.waitFor('listening');
    return relay;
  }

  /** Starts a connector that was enrolled, and waits until the relay has accepted it. */
  async startConnector(name: string, services: Readonly<Record<string, ServiceConfig>>, extra: object = {}): Promise<ManagedProcess> {
    const connector = this.runConnector(name, services, extra);
    await connector.waitFor('registered');
    return connector;
  }

  /** The same without waiting, for connectors that will be refused. */
  runConnector(name: string, services: Readonly<Record<string, ServiceConfig>>, extra: object = {}): ManagedProcess {
    const served = Object.fromEntries(Object.entries(services).map(([service, config]) => [service, { allow: '*', ...config }]));
    const config = { ...this.client(name), services: served, ...extra };
    return this.run(MAIN.connector, ['run', '-c', this.write(`${name}.yaml`, stringify(config))]);
  }

  /** Starts an agent that was enrolled, and waits until it is registered and listening. */
  async startAgent(name: string, listeners: readonly ListenerConfig[], extra: object = {}): Promise<RunningAgent> {
    const agent = this.runAgent(name, listeners, extra);
    await agent.process.waitFor('registered');
    return agent;
  }

  /** The same without waiting for the relay, for agents that will be refused. Listeners are open once `listening` was logged. */
  runAgent(name: string, listeners: readonly ListenerConfig[], extra: object = {}): RunningAgent {
    const path = this.agentConfig(name, listeners, extra);
    const process = this.run(MAIN.agent, ['up', '-c', path]);
    const port = (service: string): number => {
      const event = process.events.find((seen) => seen.event === 'listening' && seen.service === service);
      if (!event) throw new Error(`${name} does not listen for ${service}\n${process.log}`);
      return portOf(String(event.address));
    };
    return { process, port };
  }

  /** Writes NAME.yaml for an agent; returns its path. */
  agentConfig(name: string, listeners: readonly ListenerConfig[] = [], extra: object = {}): string {
    const listening = listeners.map((listener) => ({ listen: '127.0.0.1:0', ...listener }));
    return this.write(`${name}.yaml`, stringify({ ...this.client(name), listeners: listening, ...extra }));
  }

  /** `ztna-agent connect SERVICE` as its arguments, for ProxyCommand and the like. */
  connectCommand(name: string, service: string, extra: object = {}): string[] {
    return [process.execPath, MAIN.agent, 'connect', service, '-c', this.agentConfig(name, [], extra)];
  }

  /** Runs a script with this Node and keeps it for teardown. */
  run(script: string, args: readonly string[], options: SpawnOptions = {}): ManagedProcess {
    return this.keep(new ManagedProcess(process.execPath, [script, ...args], { cwd: this.directory, ...options }));
  }

  keep(process: ManagedProcess): ManagedProcess {
    this.#processes.push(process);
    return process;
  }

  tls(name: string): object {
    return { ca: 'ca.crt', certificate: `${name}.crt`, key: `${name}.key` };
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8');
  }

  /** Stops, and sees that no process has shown a secret of this lab, in what it wrote or by its health port. Throws if one has. */
  async finish(): Promise<void> {
    const secrets = labSecrets(this);
    await Promise.all(this.#processes.map((process) => process.askHealth()));
    await this.stop();
    assertNoSecretsShown(this, secrets);
  }

  async stop(): Promise<void> {
    // Clients first, so that a relay has nothing to drain, whenever it was started.
    const isRelay = (process: ManagedProcess): boolean => process.child.spawnargs.includes(MAIN.relay);
    const inOrder = [...this.#processes].reverse();
    for (const process of [...inOrder.filter((one) => !isRelay(one)), ...inOrder.filter(isRelay)]) await process.stop();
  }

  client(name: string): object {
    return {
      relays: [{ address: `127.0.0.1:${this.#relayPort}`, name: 'relay-1' }],
      tls: this.tls(name),
      registration: { key: `${name}.regkey` },
      log: { level: 'debug' },
    };
  }
}

const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1));
