// One end of a TCP flow, client or backend: sends its pattern, checks what comes against the other's, and says how it
// ended. Which bytes, pauses and resets are the plan's.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import { wasReset } from '@ztna/protocol';
import { PatternCheck, patternChunks } from '../harness/pattern.js';
import type { FlowEnd } from './verdict.js';

export interface SideInit {
  readonly socket: Socket;
  readonly send: { readonly seed: number; readonly bytes: number };
  readonly expect: { readonly seed: number; readonly bytes: number };
  /** Reset the flow once that many bytes were sent. */
  readonly abortAfter?: number | undefined;
  /** A silence in the middle of sending, ms. */
  readonly pauseMs?: number;
  /** Stop reading for that long once a quarter has come, ms. */
  readonly stallMs?: number;
  /** Begin to send only when the other side's FIN was read. */
  readonly answers?: boolean;
  readonly onProgress: () => void;
}

export class FlowSide {
  /** Resolves once: this end is over, and its socket closed or about to. */
  readonly over: Promise<FlowEnd>;
  readonly #init: SideInit;
  readonly #check: PatternCheck;
  #resolve!: (end: FlowEnd) => void;
  #isOver = false;
  #ended = false;
  #sentAll = false;
  #stalled = false;
  #timer: NodeJS.Timeout | undefined;
  #wake: (() => void) | undefined;

  /** @param early bytes of the flow that were read with its header */
  constructor(init: SideInit, early?: Buffer) {
    this.#init = init;
    this.#check = new PatternCheck(init.expect.seed);
    this.over = new Promise((resolve) => (this.#resolve = resolve));
    const { socket } = init;
    socket.on('error', (error: NodeJS.ErrnoException) => this.#finish('reset', error.code ?? error.message));
    socket.on('close', () => this.#finish('reset', 'closed'));
    socket.on('end', () => this.#handleEnd());
    if (early && early.length > 0) this.#receive(early);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.resume();
    if (!init.answers) void this.#send();
  }

  /** Nothing moved for too long. */
  giveUp(): void {
    const { expect } = this.#init;
    this.#finish('stuck', `nothing moved; ${this.#check.good} of ${expect.bytes} bytes came, ${this.#sentAll ? 'everything was sent' : 'not everything was sent'}, ${this.#ended ? 'FIN came' : 'no FIN came'}`);
  }

  #receive(chunk: Buffer): void {
    if (this.#isOver) return;
    const { expect, socket, stallMs, onProgress } = this.#init;
    onProgress();
    if (!this.#check.accept(chunk)) return this.#finish('corrupt', `a wrong byte at ${this.#check.good} of ${expect.bytes}`);
    if (this.#check.good > expect.bytes) return this.#finish('corrupt', `${this.#check.good} bytes came, ${expect.bytes} were sent`);
    if (stallMs === undefined || this.#stalled || this.#check.good < expect.bytes / 4) return;
    this.#stalled = true;
    socket.pause();
    this.#timer = setTimeout(() => socket.resume(), stallMs);
  }

  #handleEnd(): void {
    this.#init.onProgress();
    const { socket, answers } = this.#init;
    if (this.#check.good < this.#init.expect.bytes && wasReset(socket)) return this.#finish('reset', 'ECONNRESET with data');
    this.#ended = true;
    if (answers && this.#check.good === this.#init.expect.bytes) void this.#send();
    else if (answers) this.#finish('end', `a FIN after ${this.#check.good} bytes`);
    this.#finishWhenWhole();
  }

  async #send(): Promise<void> {
    const { socket, send, abortAfter, pauseMs } = this.#init;
    let sent = 0;
    let paused = pauseMs === undefined;
    for (const chunk of patternChunks(send.seed, send.bytes)) {
      if (abortAfter !== undefined && sent + chunk.length > abortAfter) {
        socket.write(chunk.subarray(0, abortAfter - sent), () => this.#abort());
        return;
      }
      if (!paused && sent + chunk.length > send.bytes / 2) {
        paused = true;
        await this.#sleep(pauseMs!);
      }
      if (this.#isOver) return;
      sent += chunk.length;
      this.#init.onProgress();
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain').catch(() => undefined), this.over]);
      if (this.#isOver) return;
    }
    if (abortAfter !== undefined) return this.#abort();
    socket.end(() => {
      this.#sentAll = true;
      this.#init.onProgress();
      this.#finishWhenWhole();
    });
  }

  #abort(): void {
    if (this.#isOver) return;
    this.#finish('aborted', 'as planned');
  }

  #finishWhenWhole(): void {
    if (this.#ended && this.#sentAll) this.#finish('end', 'whole');
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, ms);
    });
  }

  #finish(ending: FlowEnd['ending'], detail: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#timer);
    const { socket } = this.#init;
    if (ending === 'end') socket.destroySoon();
    else socket.resetAndDestroy();
    this.#resolve({ received: this.#check.good, ending, detail });
    this.#wake?.();
  }
}
