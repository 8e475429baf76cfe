// The relay's outer layer is QUIC and TLS as the RFCs have them, not as our library has them: a client on
// libngtcp2 and GnuTLS gets in with a certificate of the CA, speaks the control protocol, and is refused without.

import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { ControlDecoder, encodeControl, failureNumber, relayDnsName, type ControlMessage } from '@ztna/protocol';
import { Lab, ROOT, TRUST_DOMAIN } from '../harness/lab.js';
import { requireTool, runTool } from '../harness/tools.js';

const RELAY_NAME = relayDnsName('relay-1', TRUST_DOMAIN);
/** RFC 9001 §4.8: a TLS alert is closed with 0x100 and its number. */
const ALERT_CERTIFICATE_REQUIRED = 0x100 + 116;
const ALERT_UNKNOWN_CA = 0x100 + 48;

interface Attempt {
  readonly serverName?: string;
  /** NAME of NAME.crt and NAME.key in the lab; undefined: none is shown. */
  readonly certificate?: string;
  readonly message?: ControlMessage;
  readonly expectedBytes?: number;
}

/** The client's lines, split into words; compiled from the C file beside this one. */
const compileClient = async (t: Test, lab: Lab): Promise<((attempt: Attempt) => Promise<string[][]>) | undefined> => {
  const compiler = requireTool(t, 'gcc');
  if (!compiler) return undefined;
  const source = join(ROOT, 'test', 'interop', 'ngtcp2-client.c');
  const program = lab.path('ngtcp2-client');
  const built = await runTool(compiler, ['-Wall', '-Wextra', '-O1', '-o', program, source, '-lngtcp2', '-lngtcp2_crypto_gnutls', '-lgnutls']);
  if (built.exit !== 0) {
    // Headers are a package of their own; without them this machine just cannot run the test.
    if (process.env.ZTNA_REQUIRE_TOOLS === '1') t.fail(built.stderr);
    else t.plan(0, 'libngtcp2-dev, libngtcp2-crypto-gnutls-dev or libgnutls28-dev is not installed');
    return undefined;
  }
  return async ({ serverName = RELAY_NAME, certificate, message, expectedBytes = 0 }) => {
    const files = certificate ? [lab.path(`${certificate}.crt`), lab.path(`${certificate}.key`)] : ['-', '-'];
    const hex = message ? Buffer.from(encodeControl(message)).toString('hex') : '';
    const run = await runTool(program, [String(lab.relayPort), serverName, lab.path('ca.crt'), ...files, hex, String(expectedBytes)]);
    return run.stdout.toString().trim().split('\n').map((line) => line.split(' '));
  };
};

void t.test('an independent QUIC client', async (t) => {
  const lab = Lab.create(t);
  const connect = await compileClient(t, lab);
  if (!connect) return;
  lab.enrol('agent', 'alice');
  const foreign = issueCertificate(createAuthority({ trustDomain: TRUST_DOMAIN, name: 'foreign CA' }), { role: 'agent', name: 'alice' });
  lab.write('foreign.crt', foreign.certificatePem);
  lab.write('foreign.key', foreign.keyPem);
  const relay = await lab.startRelay([], { extra: { limits: { client: { helloTimeout: '1s' } } } });

  await t.test('with a certificate of the CA completes the handshake, and hello is answered', async (t) => {
    const hello: ControlMessage = { type: 'hello', versions: [1], software: 'ngtcp2', role: 'agent' };
    const [established, received] = await connect({ certificate: 'alice', message: hello, expectedBytes: 1 });
    t.strictSame(established, ['established']);
    t.equal(received?.[0], 'received');
    const decoder = new ControlDecoder();
    decoder.push(Buffer.from(received?.[1] ?? '', 'hex'));
    t.match(decoder.next(), { ok: true, message: { type: 'helloAck', version: 1, relay: `spiffe://${TRUST_DOMAIN}/relay/relay-1` } });
    t.match(await relay.waitFor('client_connected'), { identity: `spiffe://${TRUST_DOMAIN}/agent/alice` });
  });

  await t.test('that says nothing after the handshake is closed with a code once its time is over', async (t) => {
    const [established, closed] = await connect({ certificate: 'alice', expectedBytes: 1 });
    t.strictSame(established, ['established']);
    t.strictSame(closed?.slice(0, 3), ['closed', 'application', String(failureNumber('handshake_timeout'))]);
  });

  await t.test('without a certificate is refused: certificate_required', async (t) => {
    const lines = await connect({ expectedBytes: 1 });
    t.strictSame(lines.at(-1)?.slice(0, 3), ['closed', 'transport', String(ALERT_CERTIFICATE_REQUIRED)]);
    t.match(await relay.waitFor('handshake_refused', { code: 'certificate_required' }), { refusedBy: 'relay' });
  });

  await t.test('with a certificate of another CA is refused: unknown_ca', async (t) => {
    const lines = await connect({ certificate: 'foreign', expectedBytes: 1 });
    t.strictSame(lines.at(-1)?.slice(0, 3), ['closed', 'transport', String(ALERT_UNKNOWN_CA)]);
    t.match(await relay.waitFor('handshake_refused', { code: 'certificate_unknown_ca' }), { refusedBy: 'relay' });
  });

  await t.test('refuses this relay when it looks for another', async (t) => {
    const lines = await connect({ certificate: 'alice', serverName: relayDnsName('relay-2', TRUST_DOMAIN) });
    t.equal(lines.at(-1)?.[0], 'failed');
    t.notOk(lines.some(([word]) => word === 'established'));
  });
});
