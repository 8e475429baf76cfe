// Why a connection ended, in the overlay's own codes. Translates QUIC errors (RFC 9000 §20) and TLS
// alerts (RFC 8446 §6, offset 0x100 by RFC 9001 §4.8); decides nothing.

import { failureFromNumber, failureMeaning, type FailureCode } from '../failure-codes.js';
import { clipText } from '../wire/clip-text.js';
import { printable } from '../wire/printable-text.js';
import { CONNECTION_REFUSED } from './initial-close.js';
import type { QuicConnection, QuicError } from './port.js';

export interface ConnectionEnd {
  readonly code: FailureCode;
  /** For people: the peer's words where it gave some, else the code's meaning. Printable, at most 256 characters. */
  readonly reason: string;
  /** Who ended it: this side, the peer, or nobody (a timeout). */
  readonly by: 'local' | 'peer' | 'timeout';
}

/** Characters. At most 1024 bytes of UTF-8, so that CONNECTION_CLOSE fits the smallest packet (RFC 9000 §14). */
export const MAX_REASON_LENGTH = 256;
const APPLICATION_ERROR = 0x0c;
const TLS_ALERT_BASE = 0x100;

/** BoringSSL's alerts for a refused certificate. */
const ALERT_CODES: Readonly<Record<number, FailureCode>> = {
  42: 'certificate_invalid', // bad_certificate
  43: 'certificate_purpose_invalid', // unsupported_certificate
  45: 'certificate_expired',
  46: 'certificate_invalid', // certificate_unknown
  48: 'certificate_unknown_ca',
  116: 'certificate_required',
  120: 'alpn_mismatch', // no_application_protocol
};

export const readConnectionEnd = (quic: QuicConnection, wasEstablished: boolean): ConnectionEnd => {
  const peer = quic.peerError();
  if (peer) return { ...translate(peer, 'peer'), by: 'peer' };
  const local = quic.localError();
  if (local) return { ...translate(local, 'local'), by: 'local' };
  const code = wasEstablished ? 'idle_timeout' : 'handshake_timeout';
  if (quic.isTimedOut()) return { code, reason: failureMeaning(code), by: 'timeout' };
  // Nothing else closes a connection without a word.
  return { code: 'connection_lost', reason: 'the other side no longer knows this connection: it restarted, or heard nothing for too long', by: 'peer' };
};

const translate = (error: QuicError, by: 'local' | 'peer'): { code: FailureCode; reason: string } => {
  const code = error.isApplication ? failureFromNumber(error.code) : transportCode(error.code, by);
  const meaning = code === 'protocol_error' && !error.isApplication ? `${failureMeaning(code)} (QUIC: ${transportName(error.code)})` : failureMeaning(code);
  return { code, reason: clipText(printable(error.reason), MAX_REASON_LENGTH) || meaning };
};

/** RFC 9000 §20.1, in the order of their numbers. */
const TRANSPORT_ERRORS = [
  'NO_ERROR', 'INTERNAL_ERROR', 'CONNECTION_REFUSED', 'FLOW_CONTROL_ERROR', 'STREAM_LIMIT_ERROR', 'STREAM_STATE_ERROR', 'FINAL_SIZE_ERROR',
  'FRAME_ENCODING_ERROR', 'TRANSPORT_PARAMETER_ERROR', 'CONNECTION_ID_LIMIT_ERROR', 'PROTOCOL_VIOLATION', 'INVALID_TOKEN', 'APPLICATION_ERROR',
  'CRYPTO_BUFFER_EXCEEDED', 'KEY_UPDATE_ERROR', 'AEAD_LIMIT_REACHED', 'NO_VIABLE_PATH',
];
const transportName = (code: number): string => TRANSPORT_ERRORS[code] ?? `error 0x${code.toString(16)}`;

const transportCode = (code: number, by: 'local' | 'peer'): FailureCode => {
  if (code === 0) return 'no_error';
  if (code === CONNECTION_REFUSED) return 'connection_refused';
  // The application closed before the handshake was complete: its own code may not travel yet (RFC 9000 §10.2.3).
  if (code === APPLICATION_ERROR) return 'connection_lost';
  if (code < TLS_ALERT_BASE || code > TLS_ALERT_BASE + 0xff) return 'protocol_error';
  const alert = code - TLS_ALERT_BASE;
  // bad_certificate of our own making, with a chain that verified, is the host name check (measured: wrong SNI → 298).
  if (alert === 42 && by === 'local') return 'certificate_name_mismatch';
  return ALERT_CODES[alert] ?? 'tls_failed';
};
