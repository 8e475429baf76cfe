// The closed set of failure codes: one name each, the same in logs, metrics, control messages and
// QUIC close/reset codes. Owns the names, their wire numbers and one sentence for people; it does
// not decide when a code applies. Numbers are wire format: never renumber, only append.

/** Every failure the overlay can name, with its number in QUIC application errors. */
export const FAILURE_CODES = {
  // 0x00 connection
  no_error: { number: 0x00, meaning: 'closed in good order' },
  protocol_error: { number: 0x01, meaning: 'the peer sent something the protocol does not allow' },
  internal_error: { number: 0x02, meaning: 'an internal fault; the logs of the side that reports it say more' },
  version_unsupported: { number: 0x03, meaning: 'no protocol version in common' },
  control_message_malformed: { number: 0x04, meaning: 'a control message could not be decoded' },
  control_message_too_large: { number: 0x05, meaning: 'a control message was larger than 64 KiB' },
  unknown_message_type: { number: 0x06, meaning: 'a control message of a type this side does not know' },
  unexpected_message: { number: 0x07, meaning: 'a control message this role may not send, or not yet' },
  idle_timeout: { number: 0x08, meaning: 'nothing was heard from the peer within the idle timeout' },
  connection_lost: { number: 0x09, meaning: 'the connection ended without a reason given' },
  draining: { number: 0x0a, meaning: 'the relay is shutting down; go elsewhere' },
  handshake_timeout: { number: 0x0b, meaning: 'the handshake did not finish in time' },
  resumption_refused: { number: 0x0c, meaning: 'TLS session resumption is refused: every connection shows its certificate anew' },
  slow_reader: { number: 0x0d, meaning: 'the peer does not read its control stream' },
  relay_unreachable: { number: 0x0e, meaning: 'no relay answered at the configured address' },
  rate_limited: { number: 0x0f, meaning: 'asked more often than the rate limit allows; try again more slowly' },
  connection_refused: { number: 0x10, meaning: 'the relay takes no more connections, or no more from this address' },
  // 0x20 certificates
  certificate_required: { number: 0x20, meaning: 'no client certificate was presented' },
  certificate_unknown_ca: { number: 0x21, meaning: 'the certificate is not signed by the pinned CA' },
  certificate_expired: { number: 0x22, meaning: 'the certificate is expired or not yet valid' },
  certificate_name_mismatch: { number: 0x23, meaning: 'the certificate does not carry the expected DNS name' },
  certificate_purpose_invalid: { number: 0x24, meaning: 'the certificate is not meant for this side of the connection' },
  certificate_invalid: { number: 0x25, meaning: 'the certificate was refused' },
  identity_invalid: { number: 0x26, meaning: 'the certificate carries no valid spiffe://<trust-domain>/<role>/<name> URI' },
  role_not_allowed: { number: 0x27, meaning: 'the certificate is for another role' },
  trust_domain_mismatch: { number: 0x28, meaning: 'the certificate belongs to another trust domain' },
  alpn_mismatch: { number: 0x29, meaning: 'the peer speaks another application protocol' },
  tls_failed: { number: 0x2a, meaning: 'the TLS handshake failed' },
  certificate_revoked: { number: 0x2b, meaning: "the certificate or its identity is on the relay's deny list" },
  // 0x40 registration
  token_malformed: { number: 0x40, meaning: 'the registration token could not be decoded' },
  token_unknown_key: { number: 0x41, meaning: 'the relay has no registration key of that id' },
  token_key_inactive: { number: 0x42, meaning: 'the registration key is outside its notBefore..notAfter' },
  token_bad_signature: { number: 0x43, meaning: 'the registration token is not signed by the key it names' },
  token_expired: { number: 0x44, meaning: 'the registration token has expired; check both clocks' },
  token_from_future: { number: 0x45, meaning: 'the registration token is from the future; check both clocks' },
  token_ttl_too_long: { number: 0x46, meaning: 'the registration token asks for a longer life than allowed' },
  token_replayed: { number: 0x47, meaning: 'the registration token was used before' },
  token_replay_log_full: { number: 0x48, meaning: 'too many registrations with this key; try again shortly' },
  token_wrong_audience: { number: 0x49, meaning: 'the registration token is for another relay' },
  token_wrong_binding: { number: 0x4a, meaning: 'the registration token is bound to another certificate' },
  token_identity_mismatch: { number: 0x4b, meaning: 'the registration token names another identity than the certificate' },
  token_out_of_scope: { number: 0x4c, meaning: 'the registration key may not register this role, identity or service' },
  service_not_in_certificate: { number: 0x4d, meaning: 'the certificate carries no name for that service' },
  too_many_services: { number: 0x4e, meaning: 'more services than one connection may register' },
  not_registered: { number: 0x4f, meaning: 'register first' },
  registration_replaced: { number: 0x50, meaning: 'a newer connection registered the same identity' },
  // 0x60 sessions
  service_unknown: { number: 0x60, meaning: 'no policy rule names that service' },
  policy_denied: { number: 0x61, meaning: 'policy does not allow this identity to open that service' },
  connector_absent: { number: 0x62, meaning: 'no connector is registered for that service' },
  connector_timeout: { number: 0x63, meaning: 'the connector did not answer in time' },
  connector_rejected: { number: 0x64, meaning: 'the connector refused the session' },
  too_many_sessions: { number: 0x65, meaning: 'more sessions than are allowed' },
  session_unknown: { number: 0x66, meaning: 'no such session' },
  session_ended: { number: 0x67, meaning: 'the other side ended the session' },
  agent_gone: { number: 0x68, meaning: 'the agent disconnected' },
  connector_gone: { number: 0x69, meaning: 'the connector disconnected' },
  policy_revoked: { number: 0x6a, meaning: 'policy no longer allows this session' },
  session_idle: { number: 0x6b, meaning: 'nothing crossed the session within its idle timeout' },
  // 0x80 flows
  preamble_malformed: { number: 0x80, meaning: 'the first bytes of the flow could not be decoded' },
  service_mismatch: { number: 0x81, meaning: 'the flow names another service than its connection' },
  service_not_served: { number: 0x82, meaning: 'this connector does not serve that service' },
  agent_not_allowed: { number: 0x83, meaning: "the connector's allow list does not name this agent" },
  protocol_mismatch: { number: 0x84, meaning: 'the service is TCP and the flow UDP, or the other way round' },
  backend_refused: { number: 0x85, meaning: 'the backend refused the connection' },
  backend_unreachable: { number: 0x86, meaning: 'the backend cannot be reached' },
  backend_timeout: { number: 0x87, meaning: 'the backend did not answer in time' },
  backend_name_unresolved: { number: 0x88, meaning: "the backend's name could not be resolved" },
  flow_reset: { number: 0x89, meaning: 'the flow was reset' },
  flow_idle: { number: 0x8a, meaning: 'nothing crossed the flow within its idle timeout' },
  too_many_flows: { number: 0x8b, meaning: 'more flows than are allowed' },
} as const satisfies Record<string, { number: number; meaning: string }>;

export type FailureCode = keyof typeof FAILURE_CODES;

const byNumber = new Map<number, FailureCode>(
  (Object.keys(FAILURE_CODES) as FailureCode[]).map((code) => [FAILURE_CODES[code].number, code]),
);

/** The code's number in QUIC CONNECTION_CLOSE and RESET_STREAM (RFC 9000 §20.2: application errors are ours to assign). */
export const failureNumber = (code: FailureCode): number => FAILURE_CODES[code].number;

/** One sentence for people, without a full stop. */
export const failureMeaning = (code: FailureCode): string => FAILURE_CODES[code].meaning;

/** The code behind a number off the wire; a number nobody assigned reads as `protocol_error`. */
export const failureFromNumber = (number: number): FailureCode => byNumber.get(number) ?? 'protocol_error';

/** The code behind a name off the wire. A name of a later version reads as `protocol_error`: its message still says more. */
export const failureFromName = (name: string): FailureCode => (isFailureCode(name) ? name : 'protocol_error');

export const isFailureCode = (text: string): text is FailureCode => Object.hasOwn(FAILURE_CODES, text);
