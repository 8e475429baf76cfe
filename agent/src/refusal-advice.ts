// What a person whose connection was refused can do about it, by failure code. Owns the advice alone;
// what each code means is failure-codes.ts. Codes that say it themselves, or that nobody can help, have none.

import type { FailureCode } from '@ztna/protocol';

const CHECK_KEY = "check that registration.key is the one the relay's keyring has for this agent";
const CHECK_CERTIFICATE = 'have a new certificate issued with ztna-certs issue agent';
const CHECK_CONNECTOR = "check that the service's connector runs; its log says more";

const ADVICE: Partial<Record<FailureCode, string>> = {
  relay_unreachable: "check the relay's address in relays, that it runs, and that UDP to it is allowed",
  handshake_timeout: "check the relay's address in relays, that it runs, and that UDP to it is allowed",
  certificate_required: CHECK_CERTIFICATE,
  certificate_unknown_ca: 'check that both sides have certificates of one CA and name that CA in tls.ca',
  certificate_expired: 'check both certificates with ztna-certs inspect, and both clocks',
  certificate_name_mismatch: 'check the name in relays; with a connector, somebody may be passing off another one as the service',
  certificate_purpose_invalid: CHECK_CERTIFICATE,
  certificate_invalid: CHECK_CERTIFICATE,
  identity_invalid: CHECK_CERTIFICATE,
  role_not_allowed: CHECK_CERTIFICATE,
  trust_domain_mismatch: "check that the agent's certificate and the relay are of one trust domain",
  token_unknown_key: CHECK_KEY,
  token_key_inactive: CHECK_KEY,
  token_bad_signature: CHECK_KEY,
  token_out_of_scope: CHECK_KEY,
  service_unknown: 'check the spelling, or ask who runs the relay for a policy rule',
  policy_denied: 'ask who runs the relay for a policy rule',
  connector_absent: CHECK_CONNECTOR,
  connector_timeout: CHECK_CONNECTOR,
  connector_gone: CHECK_CONNECTOR,
  service_not_served: CHECK_CONNECTOR,
  agent_not_allowed: "ask who runs the connector to name this agent in the service's allow list",
  protocol_mismatch: 'connect carries TCP; reach a UDP service through a listener with protocol: udp',
  backend_refused: 'check that the application behind the connector runs',
  backend_unreachable: "check the service's backend in the connector's configuration",
  backend_timeout: "check the service's backend in the connector's configuration",
  backend_name_unresolved: "check the service's backend in the connector's configuration",
};

/** A clause for the end of a message, without a full stop; undefined when there is nothing to add. */
export const refusalAdvice = (code: FailureCode): string | undefined => ADVICE[code];
