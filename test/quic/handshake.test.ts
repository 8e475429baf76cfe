// How a handshake ends, on both sides: the right code for every certificate that must not pass.

import t from 'tap';
import { createAuthority, issueCertificate } from '@ztna/certs';
import {
  OUTER_ALPN, OUTER_PROFILE, PACKET_DROP_REASONS, readCertificateIdentity,
  type FailureCode, type QuicConfig,
} from '@ztna/protocol';
import { createUdpPair } from './pair.js';
import { agentCertificate, authority, configOf, outerClient, outerServer, TRUST_DOMAIN } from './pki.js';
import { Recorder } from './recorder.js';

const HOUR = 3_600_000;
const clientless = (): QuicConfig => configOf({ certificatePem: agentCertificate.certificatePem, keyPem: agentCertificate.keyPem }, OUTER_PROFILE);

t.test('two endpoints complete a handshake with Retry, and both know the other by its certificate', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const near = new Recorder();
  const connection = pair.connect(outerClient(), near);
  t.notOk(connection.isEstablished);
  await near.established();
  const far = pair.accepted[0]!;
  await far.established();
  t.same(near.calls, ['start', 'established']);
  t.same(far.calls, ['start', 'established']);
  const identities = [near, far].map(({ connection }) => readCertificateIdentity(connection!.quic.peerCertificate()!));
  t.match(identities, [{ ok: true, identity: { role: 'relay', name: 'relay-1' } }, { ok: true, identity: { role: 'agent', name: 'alice' } }]);
  t.same(far.connection!.peer.address, pair.client.local);
  t.equal(pair.server.drops.retry_token_invalid, 0);
  t.same(PACKET_DROP_REASONS.map((reason) => pair.server.drops[reason]), PACKET_DROP_REASONS.map(() => 0));
});

for (const host of ['::1', '::']) {
  t.test(`a handshake over IPv6, the server bound to ${host}`, async (t) => {
    const pair = await createUdpPair(t, { serverConfig: outerServer() }, { host, port: 0 });
    const near = new Recorder();
    pair.client.connect({ host: '::1', port: pair.server.local.port }, 'relay-1.relay.corp.example', outerClient(), near);
    await near.established();
    t.equal(pair.accepted[0]!.connection!.peer.address.host, '::1');
  });
}

t.test('a server bound to :: serves an IPv4 client too', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() }, { host: '::', port: 0 });
  const near = new Recorder();
  pair.client.connect({ host: '::ffff:127.0.0.1', port: pair.server.local.port }, 'relay-1.relay.corp.example', outerClient(), near);
  await near.established();
  t.equal(pair.accepted[0]!.connection!.peer.address.host, '::ffff:127.0.0.1');
});

const foreign = createAuthority({ trustDomain: TRUST_DOMAIN });
const now = Date.now();
const old = createAuthority({ trustDomain: TRUST_DOMAIN, now: new Date(now - 48 * HOUR) });
const past = { notBefore: new Date(now - 24 * HOUR), notAfter: new Date(now - HOUR) };

interface Refusal {
  readonly title: string;
  readonly client: () => QuicConfig;
  readonly server: () => QuicConfig;
  readonly serverName?: string;
  readonly clientEnd: { readonly code: FailureCode; readonly by: 'local' | 'peer' };
  readonly serverEnd: { readonly code: FailureCode; readonly by: 'local' | 'peer' };
}

const agentOf = (ca: typeof authority, dates = {}) => issueCertificate(ca, { role: 'agent', name: 'alice', ...dates });
const relayOf = (ca: typeof authority, dates = {}) => issueCertificate(ca, { role: 'relay', name: 'relay-1', ...dates });

const REFUSALS: readonly Refusal[] = [
  {
    title: 'a client certificate of a foreign CA',
    client: () => configOf(agentOf(foreign), OUTER_PROFILE),
    server: outerServer,
    clientEnd: { code: 'certificate_unknown_ca', by: 'peer' },
    serverEnd: { code: 'certificate_unknown_ca', by: 'local' },
  },
  {
    title: 'a server certificate of a foreign CA',
    client: outerClient,
    server: () => configOf(relayOf(foreign), OUTER_PROFILE),
    clientEnd: { code: 'certificate_unknown_ca', by: 'local' },
    serverEnd: { code: 'certificate_unknown_ca', by: 'peer' },
  },
  {
    title: 'an expired client certificate',
    client: () => configOf(agentOf(old, past), OUTER_PROFILE, old),
    server: () => configOf(relayOf(old), OUTER_PROFILE, old),
    clientEnd: { code: 'certificate_expired', by: 'peer' },
    serverEnd: { code: 'certificate_expired', by: 'local' },
  },
  {
    title: 'an expired server certificate',
    client: () => configOf(agentOf(old), OUTER_PROFILE, old),
    server: () => configOf(relayOf(old, past), OUTER_PROFILE, old),
    clientEnd: { code: 'certificate_expired', by: 'local' },
    serverEnd: { code: 'certificate_expired', by: 'peer' },
  },
  {
    title: 'a server of another name',
    client: outerClient,
    server: outerServer,
    serverName: 'relay-2.relay.corp.example',
    clientEnd: { code: 'certificate_name_mismatch', by: 'local' },
    // The alert says no more than bad_certificate.
    serverEnd: { code: 'certificate_invalid', by: 'peer' },
  },
  {
    title: 'an agent certificate at the server',
    client: outerClient,
    server: () => configOf(agentCertificate, OUTER_PROFILE),
    clientEnd: { code: 'certificate_purpose_invalid', by: 'local' },
    serverEnd: { code: 'certificate_purpose_invalid', by: 'peer' },
  },
  {
    title: 'another application protocol',
    client: () => outerClient({ alpn: 'h3' }),
    server: outerServer,
    clientEnd: { code: 'alpn_mismatch', by: 'peer' },
    serverEnd: { code: 'alpn_mismatch', by: 'local' },
  },
];

for (const refusal of REFUSALS) {
  t.test(`${refusal.title} ends the connection with its code on both sides, once`, async (t) => {
    const pair = await createUdpPair(t, { serverConfig: refusal.server() });
    const near = new Recorder();
    pair.connect(refusal.client(), near, refusal.serverName);
    t.match(await near.ended(), refusal.clientEnd);
    const far = pair.accepted[0]!;
    t.match(await far.ended(), refusal.serverEnd);
    t.equal(far.calls.includes('established'), false, 'the server never saw it established');
    t.equal(near.count('end'), 1);
    t.equal(far.count('end'), 1);
    t.equal(near.calls.at(-1), 'end');
  });
}

t.test('a client without a certificate ends with certificate_required on both sides', async (t) => {
  const { quiche } = await import('@matrixai/quic/native/index.js');
  // Our own configuration always has a certificate: the adapter's object gets a bare TLS context in its place.
  const bare = clientless();
  const native = quiche.Config.withBoringSslCtx(true, false, Buffer.from(authority.certificatePem), null, null, null);
  native.setApplicationProtos([OUTER_ALPN]);
  native.grease(false);
  native.setMaxIdleTimeout(5000);
  native.setInitialMaxData(10_000);
  Object.assign(bare, { native });
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const near = new Recorder();
  pair.connect(bare, near);
  t.match(await near.ended(), { code: 'certificate_required', by: 'peer' });
  t.match(await pair.accepted[0]!.ended(), { code: 'certificate_required', by: 'local' });
});

t.test('a resumed session is refused: it would show no certificate', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const near = new Recorder();
  const connection = pair.connect(outerClient(), near);
  Object.defineProperty(connection.quic, 'isResumed', { value: () => true });
  t.match(await near.ended(), { code: 'resumption_refused', by: 'local' });
  t.notOk(near.calls.includes('established'));
  t.notOk(connection.isEstablished);
  t.match(await pair.accepted[0]!.ended(), { code: 'resumption_refused', by: 'peer' });
});

t.test('a client that nobody answers ends with handshake_timeout', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), admission: { admit: () => 'half_open_limit' } });
  const near = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 300 }), near);
  t.match(await near.ended(), { code: 'handshake_timeout', by: 'timeout' });
  t.equal(pair.server.connectionCount, 0);
  t.ok(pair.server.drops.half_open_limit > 0);
});

t.test('a client that the handler does not want is told at once, without a connection', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), accept: () => undefined });
  const near = new Recorder();
  pair.connect(outerClient(), near);
  t.match(await near.ended(), { code: 'connection_refused', by: 'peer' });
  t.equal(pair.server.connectionCount, 0);
  t.equal(pair.server.drops.too_many_connections, 1);
});

t.test('close before the handshake is complete ends both sides, and the peer learns no application code', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer() });
  const near = new Recorder();
  const connection = pair.connect(outerClient(), near);
  connection.close('policy_denied', 'changed my mind');
  t.match(await near.ended(), { code: 'policy_denied', by: 'local', reason: 'changed my mind' });
  t.same(near.calls, ['start', 'end']);
});

t.test('a server that closes when the handshake begins leaves nothing', async (t) => {
  const pair = await createUdpPair(t, { serverConfig: outerServer(), accept: () => new Recorder({ onStart: (c) => c.close('draining') }) });
  const near = new Recorder();
  pair.connect(outerClient({ idleTimeoutMs: 500 }), near);
  // The server's first flight went out before the close: the client may have finished its half.
  t.match(await near.ended(), { code: 'connection_lost', by: 'peer' });
  const far = pair.accepted[0]!;
  t.match(await far.ended(), { code: 'draining', by: 'local' });
  t.same(far.calls, ['start', 'end']);
});
