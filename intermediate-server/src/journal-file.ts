// The journal's file: appended to, or replaced as a whole by renaming, so that a kill leaves the old or the
// new one. Owner only: it names clients' addresses. What is in it is journal-records.ts.

import { constants } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { readBoundedFile, ZtnaError } from '@ztna/protocol';

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
