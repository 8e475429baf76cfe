// How the relay's decisions ended, counted by code: handshakes, registrations, opens, sessions. What the machine
// decides is counted from its events, handshakes by the driver; the numbers are read when somebody scrapes.

import { LatencyHistogram, OutcomeCounter, type FailureCode, type RelayEvent } from '@ztna/protocol';

/** Seconds; the bound that is kept is 1 (docs/architecture.md), and half of it is the watcher's interval. */
const REVOCATION_BOUNDS = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5];

export class RelayOutcomes {
  readonly handshakes = new OutcomeCounter();
  readonly registrations = new OutcomeCounter();
  readonly opens = new OutcomeCounter();
  readonly sessionEnds = new OutcomeCounter();
  readonly withdrawals = new OutcomeCounter();
  readonly controlFaults = new OutcomeCounter();
  readonly revocation = new LatencyHistogram(REVOCATION_BOUNDS);
  #handshakesBegun = 0;
  #handshakesEnded = 0;

  /** Begun and neither complete nor failed. */
  get handshakesUnderWay(): number {
    return this.#handshakesBegun - this.#handshakesEnded;
  }

  beginHandshake(): void {
    this.#handshakesBegun += 1;
  }

  /** @param code undefined: complete, and its client admitted. Once for each begun. */
  endHandshake(code?: FailureCode): void {
    this.#handshakesEnded += 1;
    this.handshakes.count(code);
  }

  countEvent(event: RelayEvent): void {
    switch (event.name) {
      case 'registration_accepted':
        return this.registrations.count();
      case 'registration_refused':
        return this.registrations.count(event.code);
      case 'session_opened':
        return this.opens.count();
      case 'session_refused':
        return this.opens.count(event.code);
      case 'session_closed':
        return this.sessionEnds.count(event.code === 'no_error' ? undefined : event.code);
      case 'right_withdrawn':
        return this.withdrawals.count(event.code);
      case 'control_fault':
        return this.controlFaults.count(event.code);
      default:
    }
  }
}
