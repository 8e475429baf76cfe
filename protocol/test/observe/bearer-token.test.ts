// The scrape token: its form, and that only it matches, in every spelling of the header that RFC 6750 allows.

import fc from 'fast-check';
import t from 'tap';
import { BearerToken, isBearerToken, MAX_BEARER_TOKEN_LENGTH, MIN_BEARER_TOKEN_LENGTH } from '@ztna/protocol';

const TOKEN = 'c2l4dGVlbiBieXRlcyE=';

void t.test('matches the token after the scheme, in any case of the scheme', async (t) => {
  const token = new BearerToken(TOKEN);
  for (const scheme of ['Bearer', 'bearer', 'BEARER']) t.ok(token.matches(`${scheme} ${TOKEN}`));
  for (const header of [undefined, '', 'Bearer', 'Bearer ', TOKEN, ` ${TOKEN}`, `Basic ${TOKEN}`, `Bearer  ${TOKEN}`, `Bearer ${TOKEN} `, `Bearer ${TOKEN} x`, `Bearer\t${TOKEN}`, `xBearer ${TOKEN}`])
    t.notOk(token.matches(header), String(header));
});

void t.test('no other text matches', async (t) => {
  const token = new BearerToken(TOKEN);
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => text === TOKEN || !token.matches(`Bearer ${text}`)));
  t.pass();
});

void t.test('a token is 16 to 512 of the characters of a b64token', async (t) => {
  for (const good of [TOKEN, 'a'.repeat(MIN_BEARER_TOKEN_LENGTH), 'a'.repeat(MAX_BEARER_TOKEN_LENGTH), '-._~+/-._~+/-._~+/==']) t.ok(isBearerToken(good), good);
  for (const bad of ['', 'a'.repeat(MIN_BEARER_TOKEN_LENGTH - 1), 'a'.repeat(MAX_BEARER_TOKEN_LENGTH + 1), 'with a space inside it', 'line\nline\nline\nline', '=================', 'ümlaut-ümlaut-ümlaut'])
    t.notOk(isBearerToken(bad), bad);
  t.throws(() => new BearerToken('short'), RangeError);
});
