// The text of the client journal: one line per change, so that it can be appended to and a cut last line costs
// that line only. Parsing believes nothing; keeping the file is client-journal.ts.
//
//   ztna-relay-journal 1                                                    first line
//   + <seconds since 1970> <a|c> <32 hex digits> <address> <port>           a client is there, or has moved
//   - <32 hex digits>                                                       it is gone
//   = <seconds since 1970>                                                  the relay lives

import { isIP } from 'node:net';
import { MAX_CONNECTIONS } from './limits-section.js';

/** A client that an earlier run of the relay left behind. */
export interface JournalEntry {
  readonly role: 'agent' | 'connector';
  /** The stateless reset token of its connection, hexadecimal. */
  readonly token: string;
  /** IP address. */
  readonly host: string;
  readonly port: number;
}

/** Of a client's line: 2 + 12 digits + 3 + a token of 32 + 1 + an address of 60 + 1 + a port of 5 + 1. */
export const MAX_JOURNAL_LINE_BYTES = 117;
/** The file is written anew once it has so many lines for each client, and `SPARE_JOURNAL_LINES`. */
export const JOURNAL_LINES_PER_CLIENT = 4;
export const SPARE_JOURNAL_LINES = 1024;
/** The most that a relay with so many connections leaves behind: 5.7 MB for the default of 12 000. */
export const maxJournalBytes = (maxClients: number): number => (JOURNAL_LINES_PER_CLIENT * maxClients + SPARE_JOURNAL_LINES) * MAX_JOURNAL_LINE_BYTES;
/** The idle timeout of 30 s, after which no client waits for the relay any more, and a minute for clocks that are set. */
export const MAX_JOURNAL_AGE_MS = 90_000;

export const JOURNAL_HEADER = 'ztna-relay-journal 1\n';

export const entryLine = ({ role, token, host, port }: JournalEntry, nowEpochMs: number): string =>
  `+ ${seconds(nowEpochMs)} ${role === 'agent' ? 'a' : 'c'} ${token} ${host} ${port}\n`;
export const goneLine = (token: string): string => `- ${token}\n`;
export const aliveLine = (nowEpochMs: number): string => `= ${seconds(nowEpochMs)}\n`;

export interface ParsedJournal {
  readonly entries: readonly JournalEntry[];
  /** Why some or all of it was not used. */
  readonly problem?: string;
}

// Twelve digits of seconds are within what a Date holds.
const ENTRY = /^\+ (\d{1,12}) ([ac]) ([0-9a-f]{32}) ([\w.:%]{2,60}) (\d{1,5})$/;
const GONE = /^- ([0-9a-f]{32})$/;
const ALIVE = /^= (\d{1,12})$/;

/**
 * Never throws. A journal that ends longer ago than `MAX_JOURNAL_AGE_MS`, or in the future, has no entries.
 * @param maxClients as many as the relay takes connections: who is beyond them could not come back anyway
 */
export const parseJournal = (text: string, nowEpochMs: number, maxClients = MAX_CONNECTIONS): ParsedJournal => {
  if (text === '') return { entries: [] };
  if (!text.startsWith(JOURNAL_HEADER)) return { entries: [], problem: 'it is no relay journal' };
  const entries = new Map<string, JournalEntry>();
  let lastSeen = 0;
  let malformed = 0;
  // What follows the last line end was being written when the relay died.
  for (const line of text.slice(JOURNAL_HEADER.length).split('\n').slice(0, -1)) {
    const [, entrySeconds, role, token = '', host = '', port] = ENTRY.exec(line) ?? [];
    const gone = GONE.exec(line)?.[1];
    const alive = entrySeconds ?? ALIVE.exec(line)?.[1];
    if (entrySeconds !== undefined && isIP(host) > 0 && isPort(Number(port))) {
      if (entries.size < maxClients || entries.has(token)) entries.set(token, { role: role === 'c' ? 'connector' : 'agent', token, host, port: Number(port) });
    } else if (gone !== undefined) entries.delete(gone);
    else if (entrySeconds !== undefined || alive === undefined) malformed += 1;
    if (alive !== undefined) lastSeen = Math.max(lastSeen, Number(alive) * 1000);
  }
  if (entries.size > 0 && Math.abs(nowEpochMs - lastSeen) > MAX_JOURNAL_AGE_MS) return { entries: [], problem: `it ends at ${new Date(lastSeen).toISOString()}` };
  return { entries: [...entries.values()], ...(malformed > 0 && { problem: `${malformed} lines of it could not be read` }) };
};

const seconds = (epochMs: number): number => Math.floor(epochMs / 1000);

const isPort = (port: number): boolean => port >= 1 && port <= 65_535;
