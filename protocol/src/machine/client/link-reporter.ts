// What a link tells logs and metrics about its relay, in the link's place in the queue of commands.
// Owns the last observed address, so that only a change is news; when to report is the link's.

import { failureMeaning, type FailureCode } from '../../failure-codes.js';
import type { ControlMessageOf, ObservedAddress } from '../../wire/control-messages.js';
import { printable } from '../../wire/printable-text.js';
import type { ClientEvent } from './client-events.js';
import type { RelayTarget } from './link-types.js';

export class LinkReporter {
  readonly #emit: (event: ClientEvent) => void;
  readonly #relay: () => RelayTarget;
  #observed: ObservedAddress | undefined;

  /** @param relay the relay in use at the time of an event */
  constructor(emit: (event: ClientEvent) => void, relay: () => RelayTarget) {
    this.#emit = emit;
    this.#relay = relay;
  }

  /** This client's address as a relay last saw it. */
  get observed(): ObservedAddress | undefined {
    return this.#observed;
  }

  event(event: ClientEvent): void {
    this.#emit(event);
  }

  observe(observed: ObservedAddress): void {
    if (observed.host === this.#observed?.host && observed.port === this.#observed.port) return;
    this.#observed = { host: printable(observed.host), port: observed.port };
    this.#emit({ level: 'debug', name: 'observed_address', relay: this.#name, observed: this.#observed });
  }

  relayError({ code, reason, about }: ControlMessageOf<'error'>): void {
    this.#emit({ level: 'warn', name: 'relay_error', relay: this.#name, code, reason: printable(reason), about: printable(about) });
  }

  rttMeasured(rttMs: number): void {
    this.#emit({ level: 'debug', name: 'rtt_measured', relay: this.#name, rttMs });
  }

  /** Notes a message that is well formed but names nothing this side has. */
  ignored(level: 'debug' | 'warn', about: string, code: FailureCode): void {
    this.#emit({ level, name: 'message_ignored', relay: this.#name, about, code, reason: failureMeaning(code) });
  }

  get #name(): string {
    return this.#relay().name;
  }
}
