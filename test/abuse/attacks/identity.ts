// Whoever pretends to be somebody: certificates beside others, names that look like others, tokens of others.

import { issueCertificate, signCertificate, type ExplicitCertificate, type IssuedCertificate } from '@ztna/certs';
import { encodeClaims, encodeUnsignedToken, mintToken, relayDnsName, tokenSignatureInput, type TokenClaims } from '@ztna/protocol';
import { randomBytes } from 'node:crypto';
import type { AbuseLab } from '../abuse-lab.js';
import { Findings, tally, type Attack } from '../attack.js';
import { certificateBinding, HostileClient, type Credentials } from '../../harness/hostile-client.js';
import { goodToken, readCredentials, readRegistrationKey } from '../../harness/intruder.js';
import { TRUST_DOMAIN } from '../../harness/lab.js';

const HOUR_MS = 3_600_000;
const ALICE = `spiffe://${TRUST_DOMAIN}/agent/alice`;
const MALLORY = `spiffe://${TRUST_DOMAIN}/agent/mallory`;
const AUDIENCE = `spiffe://${TRUST_DOMAIN}/relay/relay-1`;

const dial = async (lab: AbuseLab, credentials: Credentials): Promise<HostileClient> =>
  lab.keep(await HostileClient.dial({ port: lab.port, serverName: relayDnsName('relay-1', TRUST_DOMAIN), credentials, from: lab.source() }));

const signed = (lab: AbuseLab, changes: Partial<ExplicitCertificate>): Credentials => {
  const fields = { commonName: 'mallory', uris: [MALLORY], dnsNames: [], purposes: ['clientAuth'] as const, notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS) };
  return withCa(lab, signCertificate(lab.lax, { ...fields, ...changes }));
};

const withCa = (lab: AbuseLab, issued: IssuedCertificate): Credentials => ({ caPem: lab.lab.authority.certificatePem, ...issued });

export const borrowedChain: Attack = {
  name: "a leaf of one's own beside somebody else's chained certificate",
  expected: 'the verified leaf alone says who it is: mallory, and never alice, who is in the chain',
  async run(lab) {
    const findings = new Findings();
    const own = readCredentials(lab.lab, 'mallory');
    const alice = readCredentials(lab.lab, 'alice').certificatePem;
    const chains = { 'own leaf, then hers': own.certificatePem + alice, 'own leaf, then hers twice and the CA': own.certificatePem + alice + alice + own.caPem };
    const seen: string[] = [];
    for (const [what, certificatePem] of Object.entries(chains)) {
      const client = await dial(lab, { ...own, certificatePem });
      // First as her, then as what the leaf says.
      client.hello('agent').register(goodToken(lab.lab, 'agent', 'alice')).register(goodToken(lab.lab, 'agent', 'mallory'));
      const { code } = await client.take('registerNack');
      await client.take('registerAck');
      findings.check(code === 'token_identity_mismatch' || code === 'token_wrong_binding', `${what}: ${code}`);
      seen.push(code);
    }
    const foreign = issueCertificate(lab.stranger, { role: 'agent', name: 'mallory' });
    const chained = await dial(lab, { ...withCa(lab, foreign), certificatePem: foreign.certificatePem + alice });
    const end = await Promise.race([chained.ended, lab.patience()]);
    findings.equal(end?.code, 'certificate_unknown_ca', 'a foreign leaf before her certificate');
    const asAlice = lab.relay.events.filter(({ event, identity }) => event === 'client_connected' && identity === ALICE);
    findings.equal(asAlice.length, 0, 'connections taken for hers');
    return findings.seen(`her token: ${tally(seen)}; foreign leaf: ${end?.code ?? 'let in'}`);
  },
};

/** As bytes of the certificate: UTF-8 where it is not ASCII. */
const raw = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
const LOOKALIKE_URIS = [
  'agent/Alice', 'agent/ALICE', 'agent/alice.', 'agent/.alice', 'agent/alice%00', 'agent/alice\0', 'agent/alice\0.evil', 'agent/ alice', 'agent/alice ', 'agent/%61lice',
  'agent/\u0430lice', 'agent/al\u0456ce', 'agent/\uff41lice', 'agent/alice\u200b', 'agent/alic\u0435', 'agent/alice\n', 'agent/alice/', 'agent//alice', 'agent/bob/../alice', 'agent/alice?x', 'agent/alice#x', 'Agent/alice', 'agent/alice,URI:spiffe',
].map((path) => `spiffe://${TRUST_DOMAIN}/${path}`);
const LOOKALIKE_DOMAINS = ['EXAMPLE.test', 'example.test.', 'example.test\0', '.example.test', 'example.t\u0435st', 'example.test:443', 'u@example.test'].map((domain) => `spiffe://${domain}/agent/alice`);

export const lookalikeCertificates: Attack = {
  name: 'certificates with names that differ by case, dot, NUL or Unicode look-alike',
  expected: `each of ${LOOKALIKE_URIS.length + LOOKALIKE_DOMAINS.length} refused (identity_invalid, trust_domain_mismatch); none taken for alice`,
  async run(lab) {
    const findings = new Findings();
    const codes: string[] = [];
    for (const uri of [...LOOKALIKE_URIS, ...LOOKALIKE_DOMAINS]) {
      const client = await dial(lab, signed(lab, { uris: [raw(uri)] }));
      client.hello('agent').register(goodToken(lab.lab, 'agent', 'alice'));
      const end = await Promise.race([client.ended, lab.patience()]);
      codes.push(end?.code ?? 'let in');
      findings.check(end !== undefined && ['identity_invalid', 'trust_domain_mismatch', 'certificate_invalid'].includes(end.code), `${JSON.stringify(uri)}: ${end?.code ?? 'let in'}`);
      findings.check(client.messages.every(({ type }) => type !== 'registerAck'), `${JSON.stringify(uri)} was registered`);
    }
    const asAlice = lab.relay.events.filter(({ event, identity }) => event === 'client_connected' && identity === ALICE);
    findings.equal(asAlice.length, 0, 'connections taken for hers');
    return findings.seen(tally(codes));
  },
};

const LOOKALIKE_SERVICES = ['WEB', 'Web', 'web.', '.web', 'web\0', 'w\u0435b', '\uff57eb', 'web ', 'web%00', '*', 'web.web', 'xn--wb-zma', 'web\u200b'];

export const lookalikeServices: Attack = {
  name: 'service names that differ by case, dot, NUL or Unicode look-alike: in certificates, tokens and opens',
  expected: `none of ${LOOKALIKE_SERVICES.length} is taken for web: no registration for it, service_unknown to open it`,
  async run(lab) {
    const findings = new Findings();
    const { certificatePem, keyPem } = signCertificate(lab.lax, {
      commonName: 'rogue', uris: [`spiffe://${TRUST_DOMAIN}/connector/rogue`], purposes: ['clientAuth', 'serverAuth'],
      // Lower case is the only name; DNS itself would take WEB for web.
      dnsNames: LOOKALIKE_SERVICES.map((service) => raw(`${service}.svc.${TRUST_DOMAIN}`)),
      notBefore: new Date(Date.now() - HOUR_MS), notAfter: new Date(Date.now() + HOUR_MS),
    });
    const credentials = withCa(lab, { certificatePem, keyPem });
    const rogue = await dial(lab, credentials);
    rogue.hello('connector').register(forgeToken(lab, credentials, 'rogue-any', { role: 'connector', identity: `spiffe://${TRUST_DOMAIN}/connector/rogue`, services: ['web'] }));
    const first = await Promise.race([rogue.take('registerNack').catch(() => undefined), rogue.ended.then(() => undefined), lab.patience()]);
    findings.check(rogue.messages.every(({ type }) => type !== 'registerAck'), 'registered for web on the strength of a look-alike');
    const ended = rogue.hasEnded ? (await rogue.ended).code : (first?.code ?? 'no answer');

    const honest = readCredentials(lab.lab, 'rogue');
    const claims: string[] = [];
    for (const service of LOOKALIKE_SERVICES) {
      const connector = await dial(lab, honest);
      connector.hello('connector').register(forgeToken(lab, honest, 'rogue-any', { role: 'connector', identity: `spiffe://${TRUST_DOMAIN}/connector/rogue`, services: [service] }));
      const nack = await connector.take('registerNack').catch(() => undefined);
      claims.push(nack?.code ?? 'closed');
      findings.check(connector.messages.every(({ type }) => type !== 'registerAck'), `registered for ${JSON.stringify(service)}`);
    }
    const mallory = await lab.join('agent', 'mallory');
    const opens: string[] = [];
    for (const [request, service] of [...LOOKALIKE_SERVICES, '127.0.0.1:22', 'relay-1', 'localhost', '../web', 'http://127.0.0.1/', ''].entries()) {
      mallory.open(service, request);
      opens.push((await mallory.take('openFailed')).code);
    }
    findings.check(opens.every((code) => code === 'service_unknown'), `opens: ${tally(opens)}`);
    return findings.seen(`certificate: ${ended}; claims: ${tally(claims)}; opens, addresses of the relay and others among them: ${tally(opens)}`);
  },
};

/** Signs claims that `mintToken` would refuse to make. */
const forgeToken = (lab: AbuseLab, credentials: Credentials, keyName: string, claims: Pick<TokenClaims, 'role' | 'identity' | 'services'>): Uint8Array => {
  const key = readRegistrationKey(lab.lab, keyName);
  const full = { issuedAt: Date.now(), ttlSeconds: 60, nonce: randomBytes(16), audience: AUDIENCE, binding: certificateBinding(credentials), ...claims };
  const unsigned = encodeUnsignedToken(key.keyId, encodeClaims(full));
  return Buffer.concat([unsigned, key.sign(tokenSignatureInput(unsigned))]);
};

export const stolenTokens: Attack = {
  name: "tokens of another client, for another relay, for another identity, and one's own a second time",
  expected: 'token_wrong_binding, token_wrong_audience, token_identity_mismatch, token_replayed; hers still works for her',
  async run(lab) {
    const findings = new Findings();
    const own = readCredentials(lab.lab, 'mallory');
    const identity = { trustDomain: TRUST_DOMAIN, role: 'agent', name: 'mallory' } as const;
    const mint = (changes: object): Uint8Array =>
      mintToken({ identity, services: [], audience: AUDIENCE, binding: certificateBinding(own), ...changes }, readRegistrationKey(lab.lab, 'mallory'), { now: Date.now(), randomBytes });
    const hers = goodToken(lab.lab, 'agent', 'trudy');
    const used = mint({});
    const mallory = await lab.dial('mallory');
    mallory.hello('agent').register(used);
    await mallory.take('registerAck');
    const attempts: Readonly<Record<string, Uint8Array>> = {
      token_wrong_binding: hers,
      token_wrong_audience: mint({ audience: `spiffe://${TRUST_DOMAIN}/relay/relay-2` }),
      token_identity_mismatch: mint({ identity: { ...identity, name: 'alice' } }),
      token_replayed: used,
    };
    const codes: string[] = [];
    for (const [expected, token] of Object.entries(attempts)) {
      mallory.register(token);
      const { code } = await mallory.take('registerNack');
      codes.push(code);
      findings.equal(code, expected, expected);
    }
    const trudy = await lab.dial('trudy');
    trudy.hello('agent').register(hers);
    await trudy.take('registerAck');
    return findings.seen(tally(codes));
  },
};
