// Clients whose control streams are left unread for a while, because they sent more messages than their
// rate allows. Owns when each is read again, behind one timer for all; flow control stops the sender
// meanwhile, so what it holds here stays within the stream's window.

import { performance } from 'node:perf_hooks';
import { DeadlineList } from '@ztna/protocol';

/** Milliseconds: short for a person, and at the default rate ten messages' worth at a time rather than a wake-up for each. */
export const CONTROL_PAUSE_MS = 100;

export interface PausedClient {
  resumeControl(): void;
}

export class ControlPauses {
  /** Pauses since the start. */
  total = 0;
  readonly #paused = new DeadlineList<PausedClient>(() => CONTROL_PAUSE_MS);
  #timer: NodeJS.Timeout | undefined;

  get size(): number {
    return this.#paused.size;
  }

  /** The client is told to read on when its time is up. It is paused only once at a time. */
  add(client: PausedClient): void {
    this.total += 1;
    this.#paused.set(client, performance.now());
    this.#arm();
  }

  /** The client is gone. Without effect if it isn't paused. */
  remove(client: PausedClient): void {
    this.#paused.cancel(client);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #arm(): void {
    const at = this.#paused.earliest;
    if (this.#timer !== undefined || at === undefined) return;
    this.#timer = setTimeout(this.#onTimer, Math.max(0, Math.ceil(at - performance.now())));
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    for (let client; (client = this.#paused.takeDue(now)); ) client.resumeControl();
    this.#arm();
  };
}
