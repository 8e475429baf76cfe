// Handshakes that an endpoint has accepted and that are not over: how long each may take, what it holds
// meanwhile (admission.ts), and how they went. Ending one that took too long is the endpoint's.

import type { Place } from './admission.js';
import type { EndpointConnection } from './endpoint-connection.js';

/** Of connections accepted; begun = completed + failed + timedOut + under way. */
export interface HandshakeCounts {
  begun: number;
  completed: number;
  failed: number;
  /** Not complete in the time the place granted, or nothing heard for QUIC's idle timeout. */
  timedOut: number;
  /** Of these, those that had less time because many were under way. */
  timedOutPressed: number;
}

export class ServerHandshakes {
  readonly counts: HandshakeCounts = { begun: 0, completed: 0, failed: 0, timedOut: 0, timedOutPressed: 0 };

  begin(connection: EndpointConnection, place: Place | undefined, now: number): void {
    this.counts.begun++;
    connection.isHandshaking = true;
    connection.place = place;
    if (place) connection.handshakeDue = now + place.handshakeMs;
  }

  /** A connection is established, or has ended; dialed ones may be passed too. */
  over(connection: EndpointConnection, outcome: 'completed' | 'failed' | 'timedOut'): void {
    if (!connection.isHandshaking) return;
    connection.isHandshaking = false;
    connection.handshakeDue = Infinity;
    connection.place?.handshakeOver();
    this.counts[outcome]++;
    if (outcome === 'timedOut' && connection.place?.isPressed) this.counts.timedOutPressed++;
  }

  /** The connection is out of the table. */
  release(connection: EndpointConnection): void {
    connection.place?.release();
    connection.place = undefined;
  }
}
