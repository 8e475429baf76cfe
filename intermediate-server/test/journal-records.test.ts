// The journal's text: round trip, every way of being cut or spoiled, and its bounds.

import fc from 'fast-check';
import t from 'tap';
import { aliveLine, entryLine, goneLine, JOURNAL_HEADER, MAX_JOURNAL_AGE_MS, MAX_CONNECTIONS, parseJournal, type JournalEntry } from '@ztna/intermediate-server';

const NOW = 1_800_000_000_000;
const tokenOf = (n: number): string => n.toString(16).padStart(32, '0');
const ALICE: JournalEntry = { role: 'agent', token: tokenOf(1), host: '192.0.2.7', port: 40_001 };
const BOX: JournalEntry = { role: 'connector', token: tokenOf(2), host: '2001:db8::7', port: 65_535 };

const GOLDEN = `ztna-relay-journal 1
+ 1800000000 a 00000000000000000000000000000001 192.0.2.7 40001
+ 1800000000 c 00000000000000000000000000000002 2001:db8::7 65535
= 1800000010
- 00000000000000000000000000000001
`;

t.test('golden: every kind of line, written and read', async (t) => {
  const written = JOURNAL_HEADER + entryLine(ALICE, NOW) + entryLine(BOX, NOW) + aliveLine(NOW + 10_999) + goneLine(ALICE.token);
  t.equal(written, GOLDEN);
  t.strictSame(parseJournal(GOLDEN, NOW), { entries: [BOX] });
});

t.test('every truncation is read as the whole lines it has, without a complaint', async (t) => {
  for (let length = JOURNAL_HEADER.length; length <= GOLDEN.length; length++) {
    const { entries, problem } = parseJournal(GOLDEN.slice(0, length), NOW);
    const whole = GOLDEN.slice(0, length).split('\n').length - 2;
    t.strictSame(entries.map(({ token }) => token), [[], [ALICE.token], [ALICE.token, BOX.token], [ALICE.token, BOX.token], [BOX.token]][whole]);
    t.equal(problem, undefined);
  }
});

t.test('the last word on a client counts', async (t) => {
  const moved = { ...ALICE, host: '198.51.100.1', port: 7 };
  t.strictSame(parseJournal(JOURNAL_HEADER + entryLine(ALICE, NOW) + entryLine(moved, NOW), NOW).entries, [moved]);
  t.strictSame(parseJournal(JOURNAL_HEADER + entryLine(ALICE, NOW) + goneLine(ALICE.token) + entryLine(moved, NOW), NOW).entries, [moved]);
});

t.test('a bad line costs itself only, and is counted', async (t) => {
  const good = entryLine(ALICE, NOW);
  const bad = [
    good.replace('192.0.2.7', '192.0.2.777'), good.replace('192.0.2.7', 'relay.example'), good.replace(' a ', ' r '), good.replace('40001', '0'), good.replace('40001', '65536'),
    good.replace('40001', '-1'), good.replace(ALICE.token, ALICE.token.slice(1)), good.replace(ALICE.token, 'Z'.repeat(32)), `${good.trimEnd()} more\n`, good.replace('+', '*'), '\0\0\0\0' + good, '\n',
  ];
  for (const line of bad) {
    const parsed = parseJournal(JOURNAL_HEADER + line + entryLine(BOX, NOW), NOW);
    t.strictSame(parsed.entries, [BOX], JSON.stringify(line));
    t.match(parsed.problem, /^1 line/);
  }
});

t.test('a journal that ends too long ago, or in the future, names nobody', async (t) => {
  const text = JOURNAL_HEADER + entryLine(ALICE, NOW);
  t.equal(parseJournal(text, NOW + MAX_JOURNAL_AGE_MS).entries.length, 1);
  t.match(parseJournal(text, NOW + MAX_JOURNAL_AGE_MS + 1), { entries: [], problem: /2027-01-15T08:00:00/ });
  t.match(parseJournal(text, NOW - MAX_JOURNAL_AGE_MS - 1), { entries: [], problem: /2027/ });
  t.equal(parseJournal(text + aliveLine(NOW + 3_600_000), NOW + 3_600_000).entries.length, 1, 'a relay that lived on keeps it fresh');
  t.match(parseJournal(`${JOURNAL_HEADER}+ 999999999999 a ${ALICE.token} 192.0.2.7 1\n`, NOW), { entries: [], problem: /\+033658/ });
});

t.test('what is no journal is said to be none; an empty file is nothing to speak of', async (t) => {
  t.strictSame(parseJournal('', NOW), { entries: [] });
  t.strictSame(parseJournal(JOURNAL_HEADER, NOW), { entries: [] });
  for (const text of ['x', 'ztna-relay-journal 2\n', '\0'.repeat(100), JOURNAL_HEADER.trimEnd(), ` ${GOLDEN}`]) {
    t.match(parseJournal(text, NOW), { entries: [], problem: /no relay journal/ });
  }
});

t.test('names at most as many clients as a relay can have', async (t) => {
  const lines = Array.from({ length: MAX_CONNECTIONS + 5 }, (_, n) => entryLine({ ...ALICE, token: tokenOf(n) }, NOW));
  t.equal(parseJournal(JOURNAL_HEADER + lines.join(''), NOW).entries.length, MAX_CONNECTIONS);
});

t.test('no text makes it throw, or name a client that could not be one', (t) => {
  const fragment = fc.oneof(
    fc.string({ maxLength: 40, unit: 'binary' }),
    fc.constantFrom('+ ', '- ', '= ', '\n', ' a ', ' c ', '1800000000', ALICE.token, ' 192.0.2.7 ', ' ::1 ', '40001', '\0'),
  );
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 60 }), fc.boolean(), (fragments, withHeader) => {
      const { entries } = parseJournal((withHeader ? JOURNAL_HEADER : '') + fragments.join(''), NOW);
      return entries.every(({ host, port, token }) => /^[\w.:%]+$/.test(host) && port > 0 && port < 65_536 && /^[0-9a-f]{32}$/.test(token));
    }),
    { numRuns: 2_000 },
  );
  t.end();
});

t.test('any clients are read as they were written', (t) => {
  const entry = fc.record({
    role: fc.constantFrom('agent' as const, 'connector' as const),
    token: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex')),
    host: fc.oneof(fc.ipV4(), fc.ipV6()),
    port: fc.integer({ min: 1, max: 65_535 }),
  }, { noNullPrototype: true });
  fc.assert(
    fc.property(fc.uniqueArray(entry, { selector: ({ token }) => token, maxLength: 20 }), (entries) => {
      const parsed = parseJournal(JOURNAL_HEADER + entries.map((one) => entryLine(one, NOW)).join(''), NOW);
      t.strictSame(parsed, { entries });
    }),
  );
  t.end();
});
