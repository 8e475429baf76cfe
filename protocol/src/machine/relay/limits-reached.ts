// How often each bound of the relay's machine held somebody back. Owns the names and the numbers: the place that
// decides counts, since a code such as `too_many_sessions` does not say which of several bounds it was.

/** Totals since the start. */
export interface RelayLimitsReached {
  /** Registrations beyond a connection's rate. */
  registrations: number;
  /** Opens beyond an agent's rate. */
  opens: number;
  servicesPerRegistration: number;
  /** Connections closed for refused registrations in a row. */
  failedRegistrations: number;
  /** Connections closed for want of a `hello`. */
  helloTimeout: number;
  /** Opens refused. */
  sessions: number;
  sessionsPerAgent: number;
  pendingOpensPerAgent: number;
  /** Opens refused because the queues hold as much as leaves room for sessions that exist. */
  strainedQueues: number;
  /** Connectors that did not answer in time. */
  acceptTimeout: number;
  /** Opens that failed though there were connectors not yet asked. */
  connectorsPerOpen: number;
  /** Sessions ended for lying unused. */
  sessionIdle: number;
}

export const createRelayLimitsReached = (): RelayLimitsReached => ({
  registrations: 0,
  opens: 0,
  servicesPerRegistration: 0,
  failedRegistrations: 0,
  helloTimeout: 0,
  sessions: 0,
  sessionsPerAgent: 0,
  pendingOpensPerAgent: 0,
  strainedQueues: 0,
  acceptTimeout: 0,
  connectorsPerOpen: 0,
  sessionIdle: 0,
});
