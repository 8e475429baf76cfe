// The commands a machine has yet to hand to its driver, in order. Owns the queue and the bounds of
// free text; what to say is decided elsewhere.

import type { FailureCode } from '../../failure-codes.js';
import { clipText } from '../../wire/clip-text.js';
import { MAX_ABOUT_LENGTH, MAX_TEXT_LENGTH, type ControlMessage } from '../../wire/control-messages.js';
import type { ConnectionId, RelayConnection } from './relay-connection.js';
import type { RelayEvent } from './relay-events.js';

export type RelayCommand =
  | { readonly kind: 'send'; readonly conn: ConnectionId; readonly message: ControlMessage }
  /** Flush what was sent, then close. The connection stays known until `handleDisconnected`. */
  | { readonly kind: 'close'; readonly conn: ConnectionId; readonly code: FailureCode; readonly reason: string }
  | { readonly kind: 'event'; readonly event: RelayEvent }
  /** Nothing is left to wait for: every connection has been told to close. Comes once. */
  | { readonly kind: 'drained' };

/** Free text from elsewhere, cut to what the schema of the messages takes. */
export const clipReason = (text: string): string => clipText(text, MAX_TEXT_LENGTH);
export const clipAbout = (text: string): string => clipText(text, MAX_ABOUT_LENGTH);

export class RelayOutbox {
  #commands: RelayCommand[] = [];
  #head = 0;

  /** Nothing is said to a connection that has been told to close. */
  send(connection: RelayConnection, message: ControlMessage): void {
    if (connection.phase !== 'closed') this.#push({ kind: 'send', conn: connection.id, message });
  }

  error(connection: RelayConnection, code: FailureCode, reason: string, about: string): void {
    this.send(connection, { type: 'error', code, reason: clipReason(reason), about: clipAbout(about) });
  }

  close(connection: RelayConnection, code: FailureCode, reason: string): void {
    this.#push({ kind: 'close', conn: connection.id, code, reason: clipReason(reason) });
  }

  event(event: RelayEvent): void {
    this.#push({ kind: 'event', event });
  }

  drained(): void {
    this.#push({ kind: 'drained' });
  }

  next(): RelayCommand | undefined {
    if (this.#head === this.#commands.length) {
      if (this.#head > 0) this.#commands = [];
      this.#head = 0;
      return undefined;
    }
    return this.#commands[this.#head++];
  }

  #push(command: RelayCommand): void {
    this.#commands.push(command);
  }
}
