// Files that hold secrets, and the public ones beside them. Owns modes, exclusive creation, atomic replacement and
// the refusal to read a secret that others can read; what the files hold is the caller's.

import { randomBytes } from 'node:crypto';
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, fsyncSync, lstatSync, openSync, readSync, renameSync, unlinkSync, writeSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { ZtnaError } from '@ztna/protocol';

export const SECRET_MODE = 0o600;
export const PUBLIC_MODE = 0o644;
/** Far above any certificate or keyring; keeps a wrong path such as /dev/zero from filling memory. */
const MAX_FILE_BYTES = 4 * 1024 * 1024;

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants;
/** O_EXCL refuses any existing name, a dangling symbolic link too, so nobody can plant the file's target. */
const CREATE_FLAGS = O_WRONLY | O_CREAT | O_EXCL | (O_NOFOLLOW ?? 0);

export interface WriteOptions {
  /** Default false: an existing file is an error. True: replaced in one step, so a reader sees the old or the new. */
  readonly replace?: boolean;
}

/**
 * Writes a file only its owner can read, and has it on disk before returning.
 * @throws ZtnaError `file_exists`, or `file_unwritable` with the cause
 */
export const writeSecretFile = (path: string, text: string, options: WriteOptions = {}): void =>
  write(path, text, SECRET_MODE, options);

/** The same for a file anyone may read, such as a certificate. */
export const writePublicFile = (path: string, text: string, options: WriteOptions = {}): void =>
  write(path, text, PUBLIC_MODE, options);

const write = (path: string, text: string, mode: number, { replace = false }: WriteOptions): void => {
  if (!replace) {
    createFile(path, mode, () => ({ text }));
  } else {
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
    createFile(temporary, mode, () => ({ text, owner: existing(path) }));
    moveIntoPlace(temporary, path);
  }
};

export interface FileContent {
  readonly text: string;
  /** The file this one is about to replace: it stays its owner's, so that a service can read what root rewrote. */
  readonly owner?: Stats | undefined;
}

/**
 * Creates `path` exclusively, fills and syncs it; on failure nothing stays behind. `produce` runs once the
 * name is taken, so the file can serve as a lock while its content is worked out; what it throws is passed on.
 * @throws ZtnaError `file_exists` or `file_unwritable`
 */
export const createFile = (path: string, mode: number, produce: () => FileContent): void => {
  let fd: number;
  try {
    fd = openSync(path, CREATE_FLAGS, mode);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new ZtnaError('file_exists', `${path} exists already and is left as it is`, { cause });
    }
    throw unwritable(path, cause);
  }
  try {
    const { text, owner } = produce();
    fchmodSync(fd, mode); // the umask may have taken bits away
    const own = fstatSync(fd);
    if (owner && (owner.uid !== own.uid || owner.gid !== own.gid)) fchownSync(fd, owner.uid, owner.gid);
    const bytes = Buffer.from(text, 'utf8');
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(fd, bytes, offset);
    fsyncSync(fd);
  } catch (cause) {
    unlinkSync(path);
    throw cause instanceof ZtnaError ? cause : unwritable(path, cause);
  } finally {
    closeSync(fd);
  }
  syncDirectory(dirname(path));
};

/** Renames over `path` in one step; on failure the temporary file goes. */
export const moveIntoPlace = (temporary: string, path: string): void => {
  try {
    renameSync(temporary, path);
  } catch (cause) {
    unlinkSync(temporary);
    throw unwritable(path, cause);
  }
  syncDirectory(dirname(path));
};

/** Makes a new or renamed entry survive a power cut; where directories cannot be synced, that is the most there is. */
const syncDirectory = (directory: string): void => {
  let fd: number | undefined;
  try {
    fd = openSync(directory, O_RDONLY);
    fsyncSync(fd);
  } catch {
    return;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
};

/** The file itself, never what a symbolic link points at; undefined when there is none. */
export const existing = (path: string): Stats | undefined => lstatSync(path, { throwIfNoEntry: false });

export interface TextFile {
  readonly text: string;
  /** Whether its group or others can read it. Always false on Windows, which has no such modes. */
  readonly exposed: boolean;
}

/**
 * Reads a UTF-8 file of at most 4 MiB, following symbolic links.
 * @throws ZtnaError `file_unreadable`
 */
export const readTextFile = (path: string): TextFile => {
  try {
    const fd = openSync(path, O_RDONLY);
    try {
      const exposed = process.platform !== 'win32' && (fstatSync(fd).mode & 0o077) !== 0;
      return { text: readAll(fd), exposed };
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new ZtnaError('file_unreadable', `${path} cannot be read: ${reason(cause)}`, { cause });
  }
};

/**
 * Reads a secret.
 * @throws ZtnaError `file_unreadable`, or `key_file_permissions` when its group or others can use it too
 */
export const readSecretFile = (path: string): string => {
  const { text, exposed } = readTextFile(path);
  if (exposed) {
    throw new ZtnaError('key_file_permissions', `${path} holds a secret and is open to its group or others; run chmod 600 on it`);
  }
  return text;
};

const readAll = (fd: number): string => {
  const chunks: Buffer[] = [];
  const chunk = Buffer.alloc(64 * 1024);
  for (let total = 0; ; ) {
    const length = readSync(fd, chunk, 0, chunk.length, null);
    if (length === 0) return Buffer.concat(chunks).toString('utf8');
    total += length;
    if (total > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`);
    chunks.push(Buffer.from(chunk.subarray(0, length)));
  }
};

const unwritable = (path: string, cause: unknown): ZtnaError =>
  new ZtnaError('file_unwritable', `${path} cannot be written: ${reason(cause)}`, { cause });

/** `ENOENT: no such file or directory` without the path the message already has. */
const reason = (cause: unknown): string => (cause instanceof Error ? cause.message.replace(/, \w+( '.*')?$/s, '') : String(cause));
