// How the relay's decisions ended, counted by code: handshakes, registrations, opens, sessions. What the machine
// decides is counted from its events, handshakes and ends of connections by the driver; the numbers are read when somebody scrapes.

import { LatencyHistogram, OutcomeCounter, type ConnectionEnd, type FailureCode, type RelayEvent } from '@ztna/protocol';

/** Seconds; the bound that is kept is 1 (docs/architecture.md), and half of it is the watcher's interval. */
const REVOCATION_BOUNDS = [0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5];

/** Who ended a connection: a client may say any code, so that its word is not counted as the relay's. */
export const ENDED_BY = ['relay', 'client', 'silence'] as const;
export type EndedBy = (typeof ENDED_BY)[number];
const ENDED_BY_OF: Readonly<Record<ConnectionEnd['by'], EndedBy>> = { local: 'relay', peer: 'client', timeout: 'silence' };

export class RelayOutcomes {
  readonly handshakes = new OutcomeCounter();
  readonly registrations = new OutcomeCounter();
  readonly opens = new OutcomeCounter();
  readonly sessionEnds = new OutcomeCounter();
  readonly withdrawals = new OutcomeCounter();
  readonly controlFaults = new OutcomeCounter();
  /** Well-formed messages that were not acted on. */
  readonly messageRefusals = new OutcomeCounter();
  /** Connectors that did not take a session, with another to ask. */
  readonly failovers = new OutcomeCounter();
  /** Ends of connections whose handshake was complete. */
  readonly connectionEnds: Readonly<Record<EndedBy, OutcomeCounter>> = { relay: new OutcomeCounter(), client: new OutcomeCounter(), silence: new OutcomeCounter() };
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

  endConnection({ by, code }: Pick<ConnectionEnd, 'by' | 'code'>): void {
    this.connectionEnds[ENDED_BY_OF[by]].count(code === 'no_error' ? undefined : code);
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
      case 'message_refused':
        return this.messageRefusals.count(event.code);
      case 'session_failover':
        return this.failovers.count(event.code);
      // Counted elsewhere: their connections' ends, the drop `not_owner`, gauges of what there is.
      case 'client_refused':
      case 'registration_replaced':
      case 'datagram_refused':
      case 'client_connected':
      case 'client_disconnected':
      case 'registration_moved':
      case 'policy_replaced':
      case 'drain_started':
      case 'drain_finished':
    }
  }
}
