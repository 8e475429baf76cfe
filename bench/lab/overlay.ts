// Our own relay, connector and agent in the lab, each with files as an operator would write them, from a throw-away
// PKI. One overlay per set of settings; several may run side by side.

import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority, generateRegistrationKey, issueCertificate } from '@ztna/certs';
import { formatAddress, type SocketAddress, type UdpMode } from '@ztna/protocol';
import { stringify } from 'yaml';
import type { LabNetwork } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';
import { freePort } from './tools.js';

export const TRUST_DOMAIN = 'bench.test';
export const RELAY_NAME = 'relay-1';

/** bench/dist-test/lab → repository root. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const main = (name: string): string => join(ROOT, name, 'dist', 'main.js');

export interface OverlayInit {
  readonly network: LabNetwork;
  readonly teardown: Teardown;
  /** Default `auto`. */
  readonly udp?: UdpMode;
  readonly agents: readonly string[];
  readonly connectors: Readonly<Record<string, readonly string[]>>;
  /** Of the registration keys. Default `hmac-sha256`: Ed25519 is minted in JavaScript, 9 ms each, and a crowd would measure that. */
  readonly algorithm?: 'ed25519' | 'hmac-sha256';
  /** More keys of relay.yaml. */
  readonly relay?: object;
  /** Arguments of Node for the relay, for profiles. */
  readonly relayNodeArgs?: readonly string[];
}

export class Overlay {
  readonly directory: string;
  readonly relay: Program;
  readonly #init: OverlayInit;
  #port = 0;

  private constructor(init: OverlayInit) {
    this.#init = init;
    this.directory = init.teardown.directory();
    this.#writePki();
    const { network, teardown, relayNodeArgs = [] } = init;
    const path = this.#writeConfig('relay', {
      listen: `${network.relay.host}:0`, tls: tlsOf(RELAY_NAME), keyring: 'keyring.yaml', policy: 'policy.yaml', udp: init.udp ?? 'auto', journal: false, drainTimeout: '1ms', ...init.relay,
    });
    this.relay = teardown.keep(() => new Program(network.relay, process.execPath, [...relayNodeArgs, main('intermediate-server'), 'run', '-c', path]));
  }

  /** Resolves once the relay listens. */
  static async start(init: OverlayInit): Promise<Overlay> {
    const overlay = new Overlay(init);
    overlay.#port = Number(String(await overlay.relay.field('address')).split(':').at(-1));
    return overlay;
  }

  get relayPort(): number {
    return this.#port;
  }

  /** What a process of ours says of its UDP socket: `batched`, or `plain` and why. */
  get udp(): string {
    const { udp, udpReason } = this.relay.state as { udp?: string; udpReason?: string };
    return udpReason === undefined ? `${udp ?? 'unknown'}` : `${udp ?? 'unknown'} (${udpReason})`;
  }

  /** Waits until the relay has accepted it. */
  async startConnector(name: string, services: Readonly<Record<string, string>>, extra: object = {}): Promise<Program> {
    const { network, teardown } = this.#init;
    const served = Object.fromEntries(Object.entries(services).map(([service, backend]) => [service, { backend, allow: '*' }]));
    const path = this.#writeConfig(name, { ...this.client(name), services: served, ...extra });
    const connector = teardown.keep(() => Program.node(network.connector, main('app-connector'), ['run', '-c', path]));
    await connector.until(() => connector.state.event === 'registered', 'registered');
    return connector;
  }

  /** The agent, and the local port that leads to each service, once it is registered. `extra` overrides keys of its file. */
  async startAgent(name: string, services: readonly string[], extra: object = {}): Promise<{ readonly agent: Program; readonly ports: ReadonlyMap<string, number> }> {
    const { network, teardown } = this.#init;
    const ports = new Map<string, number>();
    for (const service of services) ports.set(service, await freePort());
    const listeners = services.map((service) => ({ service, listen: `127.0.0.1:${ports.get(service)!}` }));
    const path = this.#writeConfig(name, { ...this.client(name), listeners, ...extra });
    const agent = teardown.keep(() => Program.node(network.agent, main('agent'), ['up', '-c', path]));
    await agent.until(() => agent.state.event === 'registered', 'registered');
    return { agent, ports };
  }

  /** The part of a client's file that is the same for both roles. `relay` where the relay is for it, if not where it is. */
  client(name: string, relay: SocketAddress = { host: this.#init.network.relay.host, port: this.#port }): object {
    return {
      relays: [{ address: formatAddress(relay), name: RELAY_NAME }],
      tls: tlsOf(name), registration: { key: `${name}.regkey` }, udp: this.#init.udp ?? 'auto',
    };
  }

  /** Writes NAME.yaml for a program that reads it itself; returns its path. */
  writeClient(name: string, extra: object = {}): string {
    return this.#writeConfig(name, { ...this.client(name), ...extra });
  }

  #writePki(): void {
    const { agents, connectors, algorithm = 'hmac-sha256' } = this.#init;
    const authority = createAuthority({ trustDomain: TRUST_DOMAIN });
    this.#write('ca.crt', authority.certificatePem);
    const keys: unknown[] = [];
    const issue = (role: 'agent' | 'connector' | 'relay', name: string, services: readonly string[] = []): void => {
      const { certificatePem, keyPem } = issueCertificate(authority, { role, name, services });
      this.#write(`${name}.crt`, certificatePem);
      this.#write(`${name}.key`, keyPem);
      if (role === 'relay') return;
      const { keyFileYaml, keyringEntry } = generateRegistrationKey({ keyId: name, algorithm, scope: { role, identities: [name], services } });
      this.#write(`${name}.regkey`, keyFileYaml);
      keys.push(keyringEntry);
    };
    issue('relay', RELAY_NAME);
    for (const agent of agents) issue('agent', agent);
    for (const [connector, services] of Object.entries(connectors)) issue('connector', connector, services);
    this.#write('keyring.yaml', stringify({ keys }));
    this.#write('policy.yaml', stringify({ rules: [{ allow: agents, services: [...new Set(Object.values(connectors).flat())] }] }));
  }

  #writeConfig(name: string, config: object): string {
    return this.#write(`${name}.yaml`, stringify(config, { aliasDuplicateObjects: false }));
  }

  #write(name: string, text: string): string {
    const path = join(this.directory, name);
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
    return path;
  }
}

const tlsOf = (name: string): object => ({ ca: 'ca.crt', certificate: `${name}.crt`, key: `${name}.key` });
