// The journal on a disk that is fast, slow, full or hostile: what a kill at any moment would leave.

import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { ClientJournal, entryLine, JOURNAL_HEADER, JournalFile, MAX_CONNECTIONS, MAX_JOURNAL_LINE_BYTES, maxJournalBytes, openJournal, parseJournal, SPARE_JOURNAL_LINES, type JournalEntry, type JournalStore } from '@ztna/intermediate-server';
import type { Logger } from '@ztna/protocol';

const NOW = 1_800_000_000_000;
const client = (n: number): JournalEntry => ({ role: n % 2 ? 'agent' : 'connector', token: n.toString(16).padStart(32, '0'), host: '192.0.2.1', port: 1 + (n % 60_000) });

/** A disk in memory; `hold` makes writes wait, `fail` makes them fail. */
class FakeStore implements JournalStore {
  text = JOURNAL_HEADER;
  appends = 0;
  replacements = 0;
  fail = false;
  #held: (() => void)[] | undefined;

  hold(): void {
    this.#held = [];
  }

  release(): void {
    for (const resolve of this.#held?.splice(0) ?? []) resolve();
    this.#held = undefined;
  }

  async append(text: string): Promise<void> {
    this.appends++;
    await this.#turn();
    this.text += text;
  }

  async replace(text: string): Promise<void> {
    this.replacements++;
    await this.#turn();
    this.text = text;
  }

  async close(): Promise<void> {}

  get tokens(): string[] {
    return parseJournal(this.text, NOW).entries.map(({ token }) => token).sort();
  }

  async #turn(): Promise<void> {
    if (this.#held) await new Promise<void>((resolve) => this.#held?.push(resolve));
    if (this.fail) throw new Error('ENOSPC: no space left on device');
  }
}

interface Rig {
  readonly journal: ClientJournal;
  readonly store: FakeStore;
  readonly warnings: unknown[];
}

const startJournal = (t: Test, left: readonly JournalEntry[] = []): Rig => {
  const store = new FakeStore();
  const { log, warnings } = fakeLog();
  const journal = new ClientJournal({ store, log, wallClock: () => NOW, left });
  t.teardown(() => {
    store.fail = false;
    store.release();
    return journal.close();
  });
  return { journal, store, warnings };
};

t.test('who came, moved and went is on disk once the turn is over', async (t) => {
  const { journal, store } = startJournal(t);
  for (let n = 1; n <= 3; n++) journal.record(client(n));
  journal.move(client(1).token, '2001:db8::1', 9);
  journal.forget(client(2).token);
  t.equal(store.appends, 0, 'nothing is written before');
  await Promise.resolve();
  t.equal(store.appends, 1, 'all of it at once');
  await journal.settled();
  t.strictSame(parseJournal(store.text, NOW).entries, [{ ...client(1), host: '2001:db8::1', port: 9 }, client(3)]);
});

t.test('clients that never were are neither moved nor forgotten', async (t) => {
  const { journal, store } = startJournal(t);
  journal.move(client(1).token, '192.0.2.9', 9);
  journal.forget(client(1).token);
  await journal.settled();
  t.equal(store.text, JOURNAL_HEADER);
});

t.test('clients of an earlier run are kept until they are told', async (t) => {
  const { journal, store } = startJournal(t, [client(1), client(2)]);
  t.equal(journal.size, 2);
  store.text += 'the two, as openJournal wrote them';
  journal.forget(client(1).token);
  await journal.settled();
  t.match(store.text, /\n?- 0{31}1\n$/);
});

t.test('years of coming and going do not make the file grow', async (t) => {
  const { journal, store } = startJournal(t);
  journal.record(client(0));
  const ROUNDS = 5_000;
  for (let n = 1; n <= ROUNDS; n++) {
    journal.record(client(n));
    journal.forget(client(n).token);
    if (n % 10 === 0) await journal.settled();
  }
  const lines = store.text.split('\n').length;
  t.ok(lines <= 4 + SPARE_JOURNAL_LINES + 21, `${lines} lines after ${2 * ROUNDS} changes`);
  t.ok(store.replacements >= 5);
  t.strictSame(store.tokens, [client(0).token]);
});

t.test('changes while the file is written anew are in the new one', async (t) => {
  const { journal, store } = startJournal(t);
  journal.record(client(0));
  await journal.settled();
  for (let n = 1; store.replacements === 0; n++) {
    if (n === SPARE_JOURNAL_LINES / 2 - 10) store.hold();
    journal.record(client(n));
    journal.forget(client(n).token);
    await Promise.resolve();
    if (store.replacements > 0) journal.record(client(99_999));
    else store.release();
  }
  journal.forget(client(0).token);
  journal.record(client(88_888));
  store.release();
  await journal.settled();
  t.strictSame(store.tokens, [client(88_888).token, client(99_999).token].sort());
});

t.test('a disk that stands still costs bounded memory and no client that is there at the end', async (t) => {
  const { journal, store } = startJournal(t);
  store.hold();
  for (let n = 0; n < 40_000; n++) {
    journal.record(client(n));
    if (n >= 100) journal.forget(client(n - 100).token);
    if (n % 50 === 0) await Promise.resolve();
  }
  t.ok(store.appends + store.replacements <= 18, 'few writes are under way');
  store.release();
  await journal.settled();
  t.strictSame(store.tokens, Array.from({ length: 100 }, (_, n) => client(39_900 + n).token).sort());
});

t.test('a full disk is reported once, tried again, and made good', async (t) => {
  const { journal, store, warnings } = startJournal(t);
  store.fail = true;
  journal.record(client(1));
  await journal.settled();
  journal.record(client(2));
  await journal.settled();
  t.match(warnings, [['journal_unwritable', { reason: /ENOSPC/ }]]);
  t.equal(warnings.length, 1);
  journal.noteAlive();
  await journal.settled();
  t.equal(warnings.length, 1);
  t.strictSame(store.tokens, []);
  store.fail = false;
  journal.forget(client(2).token);
  journal.record(client(3));
  journal.noteAlive();
  await journal.settled();
  t.strictSame(store.tokens, [client(1).token, client(3).token]);
  journal.record(client(4));
  await journal.settled();
  t.equal(store.tokens.length, 3, 'and goes on as before');
});

t.test('the sign of life is written while there are clients, and only then', async (t) => {
  const { journal, store } = startJournal(t);
  journal.noteAlive();
  await journal.settled();
  t.equal(store.text, JOURNAL_HEADER);
  journal.record(client(1));
  journal.noteAlive();
  await journal.settled();
  t.match(store.text, /= 1800000000\n$/);
});

t.test('names no more clients than it may', async (t) => {
  const { journal } = startJournal(t);
  for (let n = 0; n < MAX_CONNECTIONS + 10; n++) journal.record(client(n));
  t.equal(journal.size, MAX_CONNECTIONS);
  journal.record({ ...client(1), port: 9 });
  t.equal(journal.size, MAX_CONNECTIONS);
  t.equal(journal.leftOut, 10, 'counted');
});

t.test('names as many clients as the relay takes connections, also after that changes', async (t) => {
  const { journal } = startJournal(t);
  journal.setMaxClients(2);
  for (let n = 0; n < 5; n++) journal.record(client(n));
  t.equal(journal.size, 2);
  journal.setMaxClients(4);
  for (let n = 0; n < 5; n++) journal.record(client(n));
  t.equal(journal.size, 4);
  journal.setMaxClients(1);
  t.equal(journal.size, 4, 'nobody is forgotten for a lower one');
});

t.test('what a relay of many clients left behind is read back whole', async (t) => {
  const path = join(t.testdir({}), 'relay.journal');
  const entries = Array.from({ length: 3 }, (_, n) => client(n));
  const lines = entries.map((entry) => entryLine(entry, Date.now()));
  writeFileSync(path, JOURNAL_HEADER + lines.join(''), { mode: 0o600 });
  const { log } = fakeLog();
  const few = await openJournal(path, log, 2);
  t.equal(few.left.length, 2, 'those beyond what it takes could not come back');
  await few.journal?.close();
  const many = 100_000;
  t.ok(Buffer.byteLength(entryLine({ role: 'connector', token: 'f'.repeat(32), host: `${'ffff:'.repeat(7)}ffff`, port: 65_535 }, Date.now())) <= MAX_JOURNAL_LINE_BYTES);
  t.ok(maxJournalBytes(many) >= 4 * many * MAX_JOURNAL_LINE_BYTES, 'the file may be as large as the clients make it');
});

t.test('closing in good order leaves nobody to be told', async (t) => {
  const { journal, store } = startJournal(t);
  journal.record(client(1));
  await journal.close();
  t.equal(store.text, JOURNAL_HEADER);
});

t.test('on a real disk: owner only, whatever was there, and all of it readable by the next run', async (t) => {
  const path = join(t.testdir({}), 'relay.journal');
  writeFileSync(path, `${JOURNAL_HEADER}something else\n`, { mode: 0o666 });
  const { log, warnings } = fakeLog();
  const { journal, left } = await openJournal(path, log);
  t.strictSame(left, []);
  t.match(warnings, [['journal_ignored', { reason: /1 lines of it/ }]]);
  t.equal(statSync(path).mode & 0o777, 0o600);
  // More than may be under way at once, in turns of their own: their order on disk is that of the calls.
  for (let n = 0; n < 200; n++) {
    journal!.record(client(n));
    if (n % 2) journal!.forget(client(n - 1).token);
    if (n % 3 === 0) await Promise.resolve();
  }
  await journal!.settled();
  const expected = Array.from({ length: 100 }, (_, n) => client(2 * n + 1));
  const { entries, problem } = parseJournal(readFileSync(path, 'latin1'), Date.now());
  t.strictSame(entries, expected);
  t.equal(problem, undefined);
  // As a kill leaves it: never closed.
  const next = await openJournal(path, log);
  t.strictSame(next.left, expected);
  await next.journal!.close();
  await journal!.close();
});

t.test('a folder that cannot be written to is a warning, and no journal', async (t) => {
  const { log, warnings } = fakeLog();
  const { journal, left } = await openJournal(join(t.testdir({}), 'missing', 'relay.journal'), log);
  t.equal(journal, undefined);
  t.strictSame(left, []);
  t.match(warnings, [['journal_unwritable', { reason: /ENOENT/ }]]);
});

t.test('without a path there is none, and no warning', async (t) => {
  const { log, warnings } = fakeLog();
  t.strictSame(await openJournal(undefined, log), { left: [] });
  t.strictSame(warnings, []);
});

t.test('does not write through a link that somebody put in its way, and replaces one at its own name', async (t) => {
  const directory = t.testdir({ victim: 'precious' });
  const [path, victim] = [join(directory, 'relay.journal'), join(directory, 'victim')];
  symlinkSync(victim, `${path}.new`);
  await t.rejects(JournalFile.open(path, JOURNAL_HEADER), { code: 'ELOOP' });
  t.equal(readFileSync(victim, 'utf8'), 'precious');
  t.equal(existsSync(path), false);
});

const FOREIGN: Record<string, (path: string) => void> = {
  'a folder': (path) => mkdirSync(path),
  'a FIFO': (path) => execFileSync('mkfifo', [path]),
  'a keyring': (path) => writeFileSync(path, 'keys: []\n'),
  'a journal of a version to come': (path) => writeFileSync(path, 'ztna-relay-journal 2\n'),
  'the beginning of one': (path) => writeFileSync(path, JOURNAL_HEADER.slice(0, 5)),
};
for (const [what, put] of Object.entries(FOREIGN))
  t.test(`${what} in its place is left alone, with a warning`, async (t) => {
    const path = join(t.testdir({}), 'relay.journal');
    put(path);
    const before = describe(path);
    const { log, warnings } = fakeLog();
    t.equal((await openJournal(path, log)).journal, undefined);
    t.match(warnings, [['journal_unwritable', { reason: /left alone/ }]]);
    t.strictSame(describe(path), before);
  });

t.test('an empty file, and the zeros that a machine leaves which lost power, are as good as none', async (t) => {
  for (const content of ['', '\0'.repeat(4096)]) {
    const path = join(t.testdir({}), 'relay.journal');
    writeFileSync(path, content);
    const { log } = fakeLog();
    const { journal } = await openJournal(path, log);
    await journal!.close();
    t.equal(readFileSync(path, 'latin1'), JOURNAL_HEADER);
  }
});

/** What it is, and what is in it. */
function describe(path: string): unknown {
  const { ino, mode } = statSync(path);
  return [ino, mode, ...(statSync(path).isFile() ? [readFileSync(path, 'latin1')] : [])];
}

function fakeLog(): { log: Logger; warnings: unknown[] } {
  const warnings: unknown[] = [];
  const log = { warn: (...args: unknown[]) => warnings.push(args), info: () => undefined } as unknown as Logger;
  return { log, warnings };
}
