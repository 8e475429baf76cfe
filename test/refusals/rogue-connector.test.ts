// The relay is compromised and pairs an agent with a connector of its choice. The agent finds out in the
// inner handshake and ends it: not one byte of the user's reaches the impostor, nor the relay in the clear.

import t from 'tap';
import { createQuicConfig, Endpoint, INNER_PROFILE, SessionCarrier, type ConnectionHandler } from '@ztna/protocol';
import { createAuthority, issueCertificate } from '@ztna/certs';
import type { Credentials, HostileClient } from '../harness/hostile-client.js';
import { dialAs, readCredentials } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { RogueRelay } from '../harness/rogue-relay.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

/** Long and unmistakable; shorter than one packet, so that a leak would show it whole. */
const SECRET = 'the-user-typed-this-'.repeat(20);

const lab = Lab.create(t);
lab.enrol('agent', 'alice');
lab.issue('connector', 'impostor', ['ssh']);
lab.issue('connector', 'honest', ['web']);
lab.issue('relay', 'relay-1');
lab.issue('agent', 'insider');
const stranger = issueCertificate(createAuthority({ trustDomain: TRUST_DOMAIN, name: 'another CA' }), { role: 'connector', name: 'honest', services: ['web'] });

const impostors: Record<string, { inner: () => Credentials; code: string }> = {
  'whose certificate is for another service': { inner: () => readCredentials(lab, 'impostor'), code: 'certificate_name_mismatch' },
  "that is an agent's": { inner: () => readCredentials(lab, 'insider'), code: 'certificate_purpose_invalid' },
  'whose certificate has the right name from another CA': { inner: () => ({ caPem: lab.read('ca.crt'), ...stranger }), code: 'certificate_unknown_ca' },
};

for (const [what, { inner, code }] of Object.entries(impostors)) {
  t.test(`an agent refuses a connector ${what} with ${code}, and sends it nothing`, async (t) => {
    const relay = await RogueRelay.start('relay-1', readCredentials(lab, 'relay-1'), 'web', ['alice']);
    t.teardown(() => relay.close());
    const connector = await RogueConnector.start(relay.port, inner());
    t.teardown(() => connector.close());

    const run = connectThrough(relay.port);
    t.equal(await run.exited, 1);
    t.match(run.stderrLines.join('\n'), new RegExp(`^ztna-agent: ${code}: web: [^\\n]*this agent refused connector spiffe://example.test/connector/impostor[^\\n]*$`));
    t.ok(relay.events.some(({ name }) => name === 'session_opened'), 'the relay had paired them');
    t.ok(connector.handshakes > 0, 'the impostor was offered a handshake');
    t.equal(connector.streams, 0, 'no flow was opened to it');
    t.ok(relay.datagrams.length > 0);
    t.notOk(Buffer.concat(relay.datagrams).includes(SECRET.slice(0, 20)), 'the relay saw nothing either');
  });
}

t.test('the same relay carries the flow when the connector has the name: the refusals are for the certificate alone', async (t) => {
  const relay = await RogueRelay.start('relay-1', readCredentials(lab, 'relay-1'), 'web', ['alice']);
  t.teardown(() => relay.close());
  const connector = await RogueConnector.start(relay.port, readCredentials(lab, 'honest'));
  t.teardown(() => connector.close());
  const run = connectThrough(relay.port);
  await connector.whenStream();
  t.equal(connector.streams, 1);
  t.notOk(Buffer.concat(relay.datagrams).includes(SECRET.slice(0, 20)), 'and still reads none of it');
  await run.stop();
});

t.test('no secret was logged', async (t) => checkNoSecretsLogged(t, lab));

/** The user's program has written before the connection is there, as programs do. */
function connectThrough(port: number): ManagedProcess {
  const [command, ...args] = lab.connectCommand('alice', 'web', { relays: [{ address: `127.0.0.1:${port}`, name: 'relay-1' }] });
  const run = lab.keep(new ManagedProcess(command!, args, { cwd: lab.directory, stdin: true }));
  run.child.stdin!.on('error', () => undefined);
  run.child.stdin!.write(SECRET);
  return run;
}

/** Registers as a connector and answers the inner handshake with any certificate. */
class RogueConnector {
  handshakes = 0;
  streams = 0;
  readonly #outer: HostileClient;
  readonly #inner: Endpoint;
  readonly #carrier: SessionCarrier;
  #onStream: () => void = () => undefined;
  readonly #firstStream = new Promise<void>((resolve) => (this.#onStream = resolve));

  private constructor(outer: HostileClient, carrier: SessionCarrier, { caPem, certificatePem, keyPem }: Credentials) {
    this.#outer = outer;
    this.#carrier = carrier;
    const config = createQuicConfig({ ...INNER_PROFILE, caPem: Buffer.from(caPem), certificatePem: Buffer.from(certificatePem), keyPem: Buffer.from(keyPem) });
    const accept = (): ConnectionHandler => ({
      onStart: () => void this.handshakes++,
      onEstablished: () => undefined,
      onStream: (_connection, stream) => {
        this.streams++;
        stream.handler = { onReadable: () => undefined, onWritable: () => undefined, onReset: () => undefined };
        this.#onStream();
      },
      onEnd: () => undefined,
    });
    this.#inner = new Endpoint({ socket: carrier, server: { config, retry: false, maxConnections: 16, accept } });
  }

  static async start(port: number, inner: Credentials): Promise<RogueConnector> {
    const carrier = new SessionCarrier();
    const onDatagram = (payload: Buffer, length: number): void => {
      carrier.receive(payload, length, outer.connection);
      carrier.endBatch();
    };
    const outer = await dialAs(lab, 'impostor', { port, onDatagram });
    outer.hello('connector').register(new Uint8Array(1));
    await outer.take('registerAck');
    const connector = new RogueConnector(outer, carrier, inner);
    void connector.#acceptSessions();
    return connector;
  }

  whenStream(): Promise<void> {
    return this.#firstStream;
  }

  async close(): Promise<void> {
    await this.#inner.close('no_error');
    await this.#outer.close();
  }

  async #acceptSessions(): Promise<void> {
    const { session } = await this.#outer.take('incoming');
    this.#carrier.addSession(session, this.#outer.connection);
    this.#outer.send({ type: 'accept', session });
  }
}
