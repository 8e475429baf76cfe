// The relay is compromised and hands a connector sessions "of alice" that somebody else speaks on. The connector finds out in
// the inner handshake, whatever the relay said, and ends it: no connection to its backend is made.

import { createServer, type AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { createQuicConfig, Endpoint, INNER_PROFILE, serviceDnsName, SessionCarrier } from '@ztna/protocol';
import { createAuthority, issueCertificate } from '@ztna/certs';
import type { Credentials } from '../harness/hostile-client.js';
import { dialAs, readCredentials } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { RogueRelay } from '../harness/rogue-relay.js';

const lab = Lab.create(t);
lab.enrol('agent', 'alice');
lab.enrol('connector', 'honest', ['web']);
lab.issue('connector', 'other', ['web']);
lab.issue('relay', 'relay-1');
const stranger = issueCertificate(createAuthority({ trustDomain: TRUST_DOMAIN, name: 'another CA' }), { role: 'agent', name: 'alice' });

const intruders: Record<string, { inner: () => Credentials; code: string; judged: boolean }> = {
  "with the relay's own certificate": { inner: () => readCredentials(lab, 'relay-1'), code: 'certificate_purpose_invalid', judged: false },
  "with a connector's certificate, which is one for clients too": { inner: () => readCredentials(lab, 'other'), code: 'role_not_allowed', judged: true },
  'with a certificate for the same name from another CA': { inner: () => ({ caPem: lab.read('ca.crt'), ...stranger }), code: 'certificate_unknown_ca', judged: false },
};

for (const [who, { inner, code, judged }] of Object.entries(intruders)) {
  t.test(`a connector refuses whoever comes as an agent ${who}: ${code}, and its backend hears nothing`, async (t) => {
    const { connector, connections, dial } = await setUp(t);
    await dial(inner());
    // What TLS refuses has no name to report; what it lets through is judged by role.
    if (judged) t.match(await connector.waitFor('agent_refused'), { code, identity: `spiffe://${TRUST_DOMAIN}/connector/other` });
    else t.match(await connector.waitFor('agent_connection_ended'), { code });
    t.equal(connections(), 0);
    t.notOk(connector.events.some(({ event }) => event === 'flow_opened'));
  });
}

interface Scene {
  readonly connector: ManagedProcess;
  /** To the connector's backend, so far. */
  readonly connections: () => number;
  /** Begins an inner handshake with this certificate, on a session that the relay says is alice's. */
  readonly dial: (inner: Credentials) => Promise<void>;
}

async function setUp(t: Test): Promise<Scene> {
  let connections = 0;
  const backend = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => backend.listen(0, '127.0.0.1', resolve));
  t.teardown(() => backend.close());
  const relay = await RogueRelay.start('relay-1', readCredentials(lab, 'relay-1'), 'web', ['alice']);
  t.teardown(() => relay.close());
  const relays = [{ address: `127.0.0.1:${relay.port}`, name: 'relay-1' }];
  const connector = await lab.startConnector('honest', { web: { backend: `127.0.0.1:${(backend.address() as AddressInfo).port}` } }, { relays });
  t.teardown(() => connector.stop());
  const dial: Scene['dial'] = async ({ caPem, certificatePem, keyPem }) => {
    const carrier = new SessionCarrier();
    const outer = await dialAs(lab, 'alice', {
      port: relay.port,
      onDatagram: (payload, length) => {
        carrier.receive(payload, length, outer.connection);
        carrier.endBatch();
      },
    });
    outer.hello('agent').register(new Uint8Array(1));
    await outer.take('registerAck');
    const { session } = await outer.open('web').take('opened');
    const address = carrier.addSession(session, outer.connection);
    const endpoint = new Endpoint({ socket: carrier });
    t.teardown(async () => {
      await endpoint.close('no_error');
      await outer.close();
    });
    const config = createQuicConfig({ ...INNER_PROFILE, caPem: Buffer.from(caPem), certificatePem: Buffer.from(certificatePem), keyPem: Buffer.from(keyPem) });
    endpoint.connect(address, serviceDnsName('web', TRUST_DOMAIN), config, { onEstablished: () => undefined, onEnd: () => undefined });
  };
  return { connector, connections: () => connections, dial };
}
