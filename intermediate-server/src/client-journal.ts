// Who is connected, on disk: so that a relay that was killed can tell its clients, which would notice within
// 15 s otherwise (docs/adr/0009). Written when a client comes, moves or goes: handed to the system at the end of that turn
// of the event loop, and never waited for. A disk that fails costs the quick return, nothing else.

import type { Logger } from '@ztna/protocol';
import { aliveLine, entryLine, goneLine, JOURNAL_HEADER, JOURNAL_LINES_PER_CLIENT, maxJournalBytes, parseJournal, SPARE_JOURNAL_LINES, type JournalEntry } from './journal-records.js';
import { MAX_CONNECTIONS } from './limits-section.js';
import { foreignFile, JournalFile, readJournal, type JournalStore } from './journal-file.js';

/** Well within the journal's age limit, and how soon a disk that failed is tried again. */
export const JOURNAL_ALIVE_MS = 10_000;
/** Writes under way, on the four threads Node has for them; what comes beyond is gathered into the next. */
const MAX_WRITES = 16;
/** Lines gathered behind a slow disk for each client there may be; beyond it the file is written anew instead, whose size the clients bound. */
const PENDING_LINES_PER_CLIENT = 2;

export interface ClientJournalInit {
  /** Holds the text of `journalText(left)`. */
  readonly store: JournalStore;
  readonly log: Logger;
  /** Milliseconds since the Unix epoch. */
  readonly wallClock: () => number;
  /** Clients of an earlier run that have yet to be told: kept until `forget`, in case this run is killed as well. */
  readonly left: readonly JournalEntry[];
  /** As many as the relay takes connections. Default: `MAX_CONNECTIONS`. */
  readonly maxClients?: number;
}

export const journalText = (entries: readonly JournalEntry[], nowEpochMs: number): string =>
  JOURNAL_HEADER + entries.map((entry) => entryLine(entry, nowEpochMs)).join('');

/** What an earlier run left in the journal at `path`, and the journal of this run. Faults are logged, never thrown. */
export const openJournal = async (path: string | undefined, log: Logger, maxClients = MAX_CONNECTIONS): Promise<{ journal?: ClientJournal; left: readonly JournalEntry[] }> => {
  if (path === undefined) return { left: [] };
  const foreign = foreignFile(path);
  if (foreign !== undefined) {
    log.warn('journal_unwritable', { reason: foreign });
    return { left: [] };
  }
  const read = readJournal(path, maxJournalBytes(maxClients));
  const { entries: left, problem } = parseJournal(read.text, Date.now(), maxClients);
  const reason = read.problem ?? problem;
  if (reason !== undefined) log.warn('journal_ignored', { path, reason, clients: left.length });
  if (left.length > 0) log.info('clients_prompted', { clients: left.length });
  try {
    const store = await JournalFile.open(path, journalText(left, Date.now()));
    return { journal: new ClientJournal({ store, log, wallClock: Date.now, left, maxClients }), left };
  } catch (error) {
    log.warn('journal_unwritable', { reason: (error as Error).message });
    return { left };
  }
};

export class ClientJournal {
  /** Clients not recorded, for want of room: those of an earlier run that were not told yet took it. */
  leftOut = 0;
  readonly #init: ClientJournalInit;
  readonly #clients: Map<string, JournalEntry>;
  #maxClients: number;
  readonly #aliveTimer: NodeJS.Timeout;
  readonly #writes = new Set<Promise<void>>();
  #pending: string[] = [];
  #linesInFile: number;
  /** A write failed: only a whole new file mends that. */
  #failed = false;
  #isRewriting = false;
  /** Lines were let go of while the file was being written anew: once more, when that is done. */
  #isRewriteDue = false;
  #isFlushDue = false;

  constructor(init: ClientJournalInit) {
    this.#init = init;
    this.#maxClients = init.maxClients ?? MAX_CONNECTIONS;
    this.#clients = new Map(init.left.map((entry) => [entry.token, entry]));
    this.#linesInFile = init.left.length;
    this.#aliveTimer = setInterval(() => this.noteAlive(), JOURNAL_ALIVE_MS).unref();
  }

  /** Clients that a restart would tell. */
  get size(): number {
    return this.#clients.size;
  }

  /** Another bound from now on; clients beyond a lower one stay recorded until they go. */
  setMaxClients(maxClients: number): void {
    this.#maxClients = maxClients;
  }

  record(entry: JournalEntry): void {
    if (this.#clients.size >= this.#maxClients && !this.#clients.has(entry.token)) {
      this.leftOut += 1;
      return;
    }
    this.#clients.set(entry.token, entry);
    this.#push(entryLine(entry, this.#init.wallClock()));
  }

  /** The client's address has changed. Ignored for one that is not recorded. */
  move(token: string, host: string, port: number): void {
    const entry = this.#clients.get(token);
    if (entry) this.record({ ...entry, host, port });
  }

  forget(token: string): void {
    if (this.#clients.delete(token)) this.#push(goneLine(token));
  }

  /** Every `JOURNAL_ALIVE_MS`, by itself: keeps the journal from looking old, and tries a disk that failed again. */
  noteAlive(): void {
    if (this.#failed) this.#rewrite();
    else if (this.#clients.size > 0) this.#push(aliveLine(this.#init.wallClock()));
  }

  /** Resolves once everything before is written, or has failed. */
  async settled(): Promise<void> {
    this.#flush();
    while (this.#writes.size > 0) await Promise.all(this.#writes);
  }

  /** The relay leaves in good order and has told its clients: nobody is to be told at the next start. */
  async close(): Promise<void> {
    clearInterval(this.#aliveTimer);
    await this.settled();
    this.#clients.clear();
    this.#pending = [];
    this.#rewrite();
    await this.settled();
    await this.#init.store.close();
  }

  #push(line: string): void {
    if (this.#failed) return;
    this.#pending.push(line);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    const lines = this.#pending;
    if (this.#failed) return;
    if (this.#isRewriting) {
      // The disk hangs. What the lines say is in memory too, and is written anew once it answers.
      if (lines.length > this.#maxPendingLines) this.#pending = [];
      this.#isRewriteDue ||= lines.length > this.#maxPendingLines;
      return;
    }
    if (this.#isRewriteDue) return this.#rewrite();
    if (lines.length === 0) return;
    const maxLines = JOURNAL_LINES_PER_CLIENT * this.#clients.size + SPARE_JOURNAL_LINES;
    if (lines.length > this.#maxPendingLines || this.#linesInFile + lines.length > maxLines) return this.#rewrite();
    if (this.#writes.size >= MAX_WRITES) return;
    this.#pending = [];
    this.#linesInFile += lines.length;
    this.#track(this.#init.store.append(lines.join('')));
  }

  get #maxPendingLines(): number {
    return PENDING_LINES_PER_CLIENT * this.#maxClients;
  }

  /** Lines from here on wait for the new file. */
  #rewrite(): void {
    if (this.#isRewriting) return;
    this.#isRewriting = true;
    this.#isRewriteDue = false;
    this.#pending = [];
    this.#linesInFile = this.#clients.size;
    const written = this.#init.store.replace(journalText([...this.#clients.values()], this.#init.wallClock())).then(() => {
      this.#failed = false;
    });
    this.#track(written.finally(() => (this.#isRewriting = false)));
  }

  #track(write: Promise<void>): void {
    const tracked = write.catch((error: unknown) => this.#noteFailure(error as Error)).then(() => {
      this.#writes.delete(tracked);
      this.#flush();
    });
    this.#writes.add(tracked);
  }

  #noteFailure({ message }: Error): void {
    if (!this.#failed) this.#init.log.warn('journal_unwritable', { reason: message });
    this.#failed = true;
    this.#pending = [];
  }
}
