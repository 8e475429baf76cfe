// The journal's file: appended to, or replaced as a whole by renaming, so that a kill leaves the old or the
// new one. Owner only: it names clients' addresses. What is in it is journal-records.ts.

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { readBoundedFile, ZtnaError } from '@ztna/protocol';
import { JOURNAL_HEADER } from './journal-records.js';

export interface JournalStore {
  /** Appends may overlap; they lie in the file in the order of the calls. */
  append(text: string): Promise<void>;
  /** Not while another one is under way. */
  replace(text: string): Promise<void>;
  close(): Promise<void>;
}

const OWNER_ONLY = 0o600;
// Not through a link that somebody else may have put there.
const FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;

/**
 * Why a journal may not be written to `path`: what is there is something else, a keyring perhaps that a slip of the pen names, and
 * would be gone. Undefined when nothing is there, or a journal, or an empty file.
 */
export const foreignFile = (path: string): string | undefined => {
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a FIFO that nobody writes to would hang.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' ? undefined : message;
  }
  try {
    if (!fstatSync(descriptor).isFile()) return describeForeign(path, 'is no regular file');
    const head = Buffer.alloc(JOURNAL_HEADER.length);
    const length = readSync(descriptor, head, 0, head.length, 0);
    // A machine that lost power may leave a file of zeros.
    const isOurs = head.subarray(0, length).every((byte) => byte === 0) || head.toString('latin1') === JOURNAL_HEADER;
    return isOurs ? undefined : describeForeign(path, 'is no relay journal');
  } catch (error) {
    return (error as Error).message;
  } finally {
    closeSync(descriptor);
  }
};

const describeForeign = (path: string, what: string): string => `${path} ${what} and is left alone: move it away, or name another file under journal`;

/** What an earlier run left; empty when there is no such file. `problem` when there is one that cannot be used. */
export const readJournal = (path: string, maxBytes: number): { text: string; problem?: string } => {
  try {
    return { text: readBoundedFile(path, { maxBytes }).toString('latin1') };
  } catch (error) {
    const missing = error instanceof ZtnaError && (error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
    return { text: '', ...(!missing && { problem: (error as Error).message }) };
  }
};

export class JournalFile implements JournalStore {
  readonly #path: string;
  #handle: FileHandle;
  #end: number;

  private constructor(path: string, handle: FileHandle, end: number) {
    this.#path = path;
    this.#handle = handle;
    this.#end = end;
  }

  /** @throws Error of the file system */
  static async open(path: string, text: string): Promise<JournalFile> {
    const { handle, end } = await write(path, text);
    return new JournalFile(path, handle, end);
  }

  /** At a position of its own, so that writes need not wait for each other. A kill may leave a hole, which is one bad line. */
  async append(text: string): Promise<void> {
    const bytes = Buffer.from(text, 'latin1');
    const position = this.#end;
    this.#end += bytes.length;
    await this.#handle.write(bytes, 0, bytes.length, position);
  }

  async replace(text: string): Promise<void> {
    const before = this.#handle;
    ({ handle: this.#handle, end: this.#end } = await write(this.#path, text));
    await before.close();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

const besides = (path: string): string => `${path}.new`;

const write = async (path: string, text: string): Promise<{ handle: FileHandle; end: number }> => {
  const bytes = Buffer.from(text, 'latin1');
  const handle = await open(besides(path), FLAGS, OWNER_ONLY);
  try {
    await handle.chmod(OWNER_ONLY);
    await handle.writeFile(bytes);
    await rename(besides(path), path);
    return { handle, end: bytes.length };
  } catch (error) {
    await handle.close();
    throw error;
  }
};
