// Which registration tokens the relay refuses over a good certificate: each with its own code in
// registerNack and in the relay's log. An innocent flow runs on all the while.

import { randomBytes } from 'node:crypto';
import t from 'tap';
import { mintToken, type FailureCode, type Identity, type TokenRequest } from '@ztna/protocol';
import { certificateBinding, type HostileClient } from '../harness/hostile-client.js';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { dialAs, readCredentials, readRegistrationKey } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const AUDIENCE = `spiffe://${TRUST_DOMAIN}/relay/relay-1`;
const DAY_MS = 86_400_000;
const MAX_TOKEN_BYTES = 8192;

const lab = Lab.create(t);
lab.enrol('agent', 'mallory');
lab.registrationKey('last-year', 'agent', [], { notBefore: new Date(Date.now() - 2 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS), scope: { role: 'agent', identities: ['mallory'], services: [] } });
lab.registrationKey('next-year', 'agent', [], { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 2 * DAY_MS), scope: { role: 'agent', identities: ['mallory'], services: [] } });
lab.issue('connector', 'rogue', ['web', 'ssh']);
lab.registrationKey('rogue', 'connector', ['web', 'db']);
lab.registrationKey('pool', 'connector', [], { algorithm: 'hmac-sha256', scope: { role: 'connector', identities: '*', services: ['web'] } });
const { relay, flow } = await startInnocentLab(t, lab);
/** Made after the relay has read its keyring. */
lab.registrationKey('unheard-of', 'agent');
lab.registrationKey('forger', 'agent', [], { keyId: 'mallory', scope: { role: 'agent', identities: ['mallory'], services: [] } });

const sentTokens: Uint8Array[] = [];

interface Attempt extends Partial<TokenRequest> {
  /** Whose certificate and role; default the agent mallory. */
  readonly as?: 'mallory' | 'rogue';
  /** File of the registration key; default the client's own. */
  readonly key?: string;
  /** Milliseconds the client's clock is ahead. */
  readonly clockAhead?: number;
  readonly code: FailureCode;
  readonly reason?: RegExp;
}

const attempts: Record<string, Attempt> = {
  'that has expired': { clockAhead: -91_000, code: 'token_expired', reason: /clocks may differ by 30000 ms/ },
  'from the future': { clockAhead: 31_000, code: 'token_from_future' },
  'that asks for a longer life than a minute': { ttlSeconds: 61, code: 'token_ttl_too_long' },
  'for another relay': { audience: `spiffe://${TRUST_DOMAIN}/relay/relay-2`, code: 'token_wrong_audience', reason: /this relay is/ },
  'for the relay of that name in another trust domain': { audience: 'spiffe://evil.test/relay/relay-1', code: 'token_wrong_audience' },
  'signed with another key than it names': { key: 'forger', code: 'token_bad_signature' },
  'signed with a key the relay does not have': { key: 'unheard-of', code: 'token_unknown_key', reason: /unheard-of/ },
  'signed with a key that is no longer valid': { key: 'last-year', code: 'token_key_inactive' },
  'signed with a key that is not valid yet': { key: 'next-year', code: 'token_key_inactive' },
  'bound to another certificate of the same name': { binding: otherBinding(), code: 'token_wrong_binding' },
  'that names another identity than the certificate': { identity: identity('agent', 'alice'), code: 'token_identity_mismatch' },
  'that names another role than the certificate': { identity: identity('connector', 'mallory'), code: 'token_identity_mismatch' },
  "signed with another agent's key": { key: 'alice', code: 'token_out_of_scope', reason: /identity mallory is outside the scope of key alice/ },
  "of an agent, signed with a connector's key": { key: 'pool', code: 'token_out_of_scope', reason: /role agent/ },
  'of a connector for a service of another pool, which its certificate has': { as: 'rogue', services: ['ssh'], code: 'token_out_of_scope', reason: /service ssh/ },
  'of a connector for a service its certificate does not have': { as: 'rogue', services: ['db'], code: 'service_not_in_certificate', reason: /service db/ },
};

for (const [what, { as = 'mallory', key = as, clockAhead = 0, code, reason, ...claims }] of Object.entries(attempts)) {
  t.test(`refuses a token ${what} with ${code}`, async (t) => {
    relay.forgetEvents();
    const client = await dial(as);
    client.register(mint(as, key, claims, clockAhead));
    const nack = await client.take('registerNack');
    t.equal(nack.code, code);
    const logged = await relay.waitFor('registration_refused', { code });
    t.match(logged, { identity: `spiffe://${TRUST_DOMAIN}/${roleOf(as)}/${as}`, reason: nack.reason }, 'the log says the same');
    if (reason) t.match(nack.reason, reason);
    if (as === 'mallory') {
      client.open('web');
      t.equal((await client.take('openFailed')).code, 'not_registered');
    }
    await client.close();
    await flow.roundTrip();
  });
}

t.test('takes a token once: the second time it is refused with token_replayed, on this connection and on the next', async (t) => {
  const first = await dial('mallory');
  const token = mint('mallory', 'mallory');
  first.register(token);
  t.same(await first.take('registerAck'), { type: 'registerAck', services: [] });
  relay.forgetEvents();
  first.register(token);
  t.equal((await first.take('registerNack')).code, 'token_replayed');
  await relay.waitFor('registration_refused', { code: 'token_replayed' });
  await first.close();

  relay.forgetEvents();
  const second = await dial('mallory');
  second.register(token);
  t.equal((await second.take('registerNack')).code, 'token_replayed');
  await relay.waitFor('registration_refused', { code: 'token_replayed' });
  await second.close();
});

t.test('refuses a token somebody else overheard with token_wrong_binding, and does not burn it', async (t) => {
  const owner = await dial('mallory');
  const token = mint('mallory', 'mallory');
  lab.issue('agent', 'thief');
  const thief = await dial('thief');
  thief.register(token);
  t.equal((await thief.take('registerNack')).code, 'token_wrong_binding');
  owner.register(token);
  await owner.take('registerAck');
  await thief.close();
  await owner.close();
});

const junk: Record<string, Uint8Array> = {
  'no bytes at all': new Uint8Array(0),
  'random bytes': randomBytes(300),
  'a version nobody speaks': Uint8Array.of(9, ...mint('mallory', 'mallory').subarray(1)),
  'all but the last byte of a good token': mint('mallory', 'mallory').subarray(0, -1),
  'a byte after a good token': Uint8Array.of(...mint('mallory', 'mallory'), 0),
  'as many bytes as a message may carry': randomBytes(MAX_TOKEN_BYTES),
};

for (const [what, token] of Object.entries(junk)) {
  t.test(`refuses ${what} with token_malformed`, async (t) => {
    relay.forgetEvents();
    const client = await dial('mallory');
    client.register(token);
    t.equal((await client.take('registerNack')).code, 'token_malformed');
    await relay.waitFor('registration_refused', { code: 'token_malformed' });
    await client.close();
  });
}

t.test('closes a connection whose registrations fail ten times in a row, with the last code', async (t) => {
  relay.forgetEvents();
  const client = await dial('mallory');
  for (let i = 0; i < 10; i++) client.register(randomBytes(64));
  const end = await client.ended;
  t.equal(end.code, 'token_malformed');
  await relay.waitFor('registration_refused', { code: 'token_malformed', closing: true });
  await client.close();
});

t.test('the innocent flow is untouched and no token or key was logged', async (t) => {
  await flow.roundTrip();
  checkNoSecretsLogged(t, lab, sentTokens);
});

function roleOf(name: string): 'agent' | 'connector' {
  return name === 'rogue' ? 'connector' : 'agent';
}

function identity(role: Identity['role'], name: string): Identity {
  return { trustDomain: TRUST_DOMAIN, role, name };
}

/** Of a second certificate for mallory: same name, same CA, another key. */
function otherBinding(): Uint8Array {
  const kept = [lab.read('mallory.crt'), lab.read('mallory.key')] as const;
  lab.issue('agent', 'mallory');
  const binding = certificateBinding(readCredentials(lab, 'mallory'));
  lab.write('mallory.crt', kept[0]);
  lab.write('mallory.key', kept[1]);
  return binding;
}

function mint(as: string, key: string, claims: Partial<TokenRequest> = {}, clockAhead = 0): Uint8Array {
  const request = { identity: identity(roleOf(as), as), services: [], audience: AUDIENCE, binding: certificateBinding(readCredentials(lab, as)), ...claims };
  const token = mintToken(request, readRegistrationKey(lab, key), { now: Date.now() + clockAhead, randomBytes });
  sentTokens.push(token);
  return token;
}

async function dial(name: string): Promise<HostileClient> {
  return (await dialAs(lab, name)).hello(roleOf(name));
}
