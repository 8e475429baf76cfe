// A hostile client with good papers: enrolled in the lab, it can register properly and then misbehave.
// Owns its credentials and tokens; the connection is hostile-client.ts.

import { randomBytes } from 'node:crypto';
import { mintToken, parseRegistrationKey, relayDnsName, type RegistrationKey, type SessionHandle } from '@ztna/protocol';
import { parse } from 'yaml';
import { certificateBinding, HostileClient, type Credentials, type HostileClientInit } from './hostile-client.js';
import { TRUST_DOMAIN, type Lab } from './lab.js';

export const readCredentials = (lab: Lab, name: string): Credentials => ({
  caPem: lab.read('ca.crt'),
  certificatePem: lab.read(`${name}.crt`),
  keyPem: lab.read(`${name}.key`),
});

export const readRegistrationKey = (lab: Lab, name: string): RegistrationKey => {
  const parsed = parseRegistrationKey(parse(lab.read(`${name}.regkey`)));
  if (!parsed.ok) throw new Error(`${name}.regkey: ${JSON.stringify(parsed.faults)}`);
  return parsed.key;
};

/** A token the lab's relay accepts once. */
export const goodToken = (lab: Lab, role: 'agent' | 'connector', name: string, services: readonly string[] = []): Uint8Array =>
  mintToken(
    { identity: { trustDomain: TRUST_DOMAIN, role, name }, services, audience: `spiffe://${TRUST_DOMAIN}/relay/relay-1`, binding: certificateBinding(readCredentials(lab, name)) },
    readRegistrationKey(lab, name),
    { now: Date.now(), randomBytes },
  );

/** Handshake done, nothing said yet. */
export const dialAs = async (lab: Lab, name: string, extra: Partial<HostileClientInit> = {}): Promise<HostileClient> => {
  const init = { port: lab.relayPort, serverName: relayDnsName('relay-1', TRUST_DOMAIN), credentials: readCredentials(lab, name), ...extra };
  return (await HostileClient.dial(init)).established();
};

/** Greeted and registered. */
export const joinAs = async (
  lab: Lab,
  role: 'agent' | 'connector',
  name: string,
  services: readonly string[] = [],
  extra: Partial<HostileClientInit> = {},
): Promise<HostileClient> => {
  const client = await dialAs(lab, name, extra);
  client.hello(role).register(goodToken(lab, role, name, services));
  await client.take('registerAck');
  return client;
};

/** A session between a fixture agent and the fixture connector that alone serves `service`. */
export const openPair = async (
  agent: HostileClient,
  connector: HostileClient,
  service = 'ssh',
): Promise<{ agentEnd: SessionHandle; connectorEnd: SessionHandle }> => {
  agent.open(service);
  const { session: connectorEnd } = await connector.take('incoming');
  connector.send({ type: 'accept', session: connectorEnd });
  const { session: agentEnd } = await agent.take('opened');
  return { agentEnd, connectorEnd };
};
