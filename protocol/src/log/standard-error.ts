// Standard error as a place for log lines that never keeps the process waiting: whoever reads it may be stopped, and the disk
// behind it full, and traffic matters more than its log. Owns what waits for room, how much of it, and what is given up.
//
//   a pipe or terminal  is opened a second time, for us alone and without waiting (O_NONBLOCK on the first would be everybody's)
//   a socket            takes what it has room for (systemd's journal; MSG_DONTWAIT)
//   a file              is written to as it is: a disk that hangs keeps us waiting, as it would for anything else
//
// Where a pipe cannot be opened a second time, or koffi is missing for a socket, it is written to as it is, too.

import { closeSync, constants, fstatSync, openSync, writeSync, type Stats } from 'node:fs';
import { loadKoffi } from '../native/koffi.js';

/** Of lines that wait for room: some 3000, a second and more of the most that is logged. */
export const MAX_HELD_BYTES = 1024 * 1024;
/** Between two looks whether there is room again. */
const RETRY_MS = 50;
/** How long a process that exits waits for a slow reader, and between two looks. */
const EXIT_PATIENCE_MS = 500;
const EXIT_RETRY_MS = 5;

const STDERR = 2;
/** send(2), Linux. */
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;

/** Writes what there is room for now. @returns the bytes taken, 0 for want of room @throws Error when it can take none */
export type Put = (bytes: Uint8Array) => number;

export class StandardError {
  /** Lines given up, since the process started. */
  lost = 0;
  #put: Put;
  /** Whole lines, but for the first, whose beginning may have been taken. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #reported = 0;
  /** The last line was refused, not for want of room. */
  #isFailing = false;
  #retry: NodeJS.Timeout | undefined;
  readonly #onRecovered: (lines: number) => void;

  /** @param onRecovered lines are taken again, after so many were given up; it may write */
  constructor(put: Put, onRecovered: (lines: number) => void) {
    this.#put = put;
    this.#onRecovered = onRecovered;
  }

  /** Puts lines elsewhere, or in another way, from now on. */
  setPut(put: Put): void {
    this.#put = put;
  }

  /** A whole line with its newline. Returns at once; the line is written then, or soon, or given up. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    // Whoever reads may have made room since, even within a turn that logs much.
    if (this.#heldBytes + bytes.length > MAX_HELD_BYTES && !this.#writeHeld() && this.#heldBytes + bytes.length > MAX_HELD_BYTES) {
      this.lost += 1;
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#retry === undefined) this.#drain();
  }

  /** For the end of the process: waits a little for a reader that is slow, and no longer for one that is stopped. */
  finish(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const looks = EXIT_PATIENCE_MS / EXIT_RETRY_MS;
    for (let look = 0; look < looks && !this.#writeHeld(); look++) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, EXIT_RETRY_MS);
    if (this.#held.length === 0) this.#report();
  }

  #drain(): void {
    this.#retry = undefined;
    if (!this.#writeHeld()) {
      this.#retry = setTimeout(() => this.#drain(), RETRY_MS).unref();
      return;
    }
    this.#report();
  }

  #report(): void {
    const lines = this.lost - this.#reported;
    if (lines === 0 || this.#isFailing) return;
    this.#reported = this.lost;
    this.#onRecovered(lines);
  }

  /** True when nothing is left. */
  #writeHeld(): boolean {
    while (this.#held.length > 0) {
      const [line] = this.#held as [Buffer];
      let taken: number;
      try {
        taken = this.#put(line);
        this.#isFailing = false;
      } catch {
        // A disk that is full, a reader that is gone: this line is, too.
        this.#isFailing = true;
        this.lost += 1;
        taken = line.length;
      }
      if (taken === 0) return false;
      this.#heldBytes -= taken;
      if (taken < line.length) this.#held[0] = line.subarray(taken);
      else this.#held.shift();
    }
    return true;
  }
}

let opened: StandardError | undefined;

/** Standard error of this process, written to until it exits: one for all loggers, and the first of them is told of `onRecovered`. */
export const standardError = (onRecovered: (lines: number) => void): StandardError => (opened ??= open(onRecovered));

const open = (onRecovered: (lines: number) => void): StandardError => {
  const stream = new StandardError(putTo(STDERR), onRecovered);
  const kind = statOf(STDERR);
  if (kind?.isFIFO() || kind?.isCharacterDevice()) {
    const own = openAgain(STDERR, kind);
    if (own !== undefined) stream.setPut(putTo(own));
  } else if (kind?.isSocket()) {
    void putToSocket(STDERR).then((put) => put && stream.setPut(put));
  }
  process.once('exit', () => stream.finish());
  return stream;
};

const putTo =
  (descriptor: number): Put =>
  (bytes) => {
    try {
      return writeSync(descriptor, bytes);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0;
      throw error;
    }
  };

const putToSocket = async (descriptor: number): Promise<Put | undefined> => {
  const loaded = await loadKoffi();
  if (!loaded.ok) return undefined;
  const { koffi } = loaded;
  const send = koffi.load(null).func('send', 'long', ['int', 'const uint8_t *', 'size_t', 'int']);
  return (bytes) => {
    const taken = Number(send(descriptor, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL));
    if (taken >= 0) return taken;
    if (koffi.errno() === EAGAIN) return 0;
    throw new Error(`send: errno ${koffi.errno()}`);
  };
};

/** Undefined when it is closed. */
const statOf = (descriptor: number): Stats | undefined => {
  try {
    return fstatSync(descriptor);
  } catch {
    return undefined;
  }
};

/** A description of our own of what the descriptor leads to; undefined where that is not to be had, as of a pipe that is another user's. */
const openAgain = (descriptor: number, kind: Stats): number | undefined => {
  let own: number;
  try {
    own = openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return undefined;
  }
  const { dev, ino } = fstatSync(own);
  if (dev === kind.dev && ino === kind.ino) return own;
  closeSync(own);
  return undefined;
};
