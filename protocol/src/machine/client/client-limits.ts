// The bounds the client machines keep, with the arithmetic behind each default. All durations are
// milliseconds.

/** Bounds of one client's connection to a relay. */
export interface LinkLimits {
  /** From the dial to the end of the QUIC handshake. */
  readonly dialTimeoutMs: number;
  /** From the end of the handshake to `registerAck`. */
  readonly registerTimeoutMs: number;
  /** While a session, a request or a connector's registration depends on the connection. */
  readonly pingIntervalMs: number;
  /** While nothing does; less at a relay whose idle timeout is short. */
  readonly idlePingIntervalMs: number;
  readonly pingTimeoutMs: number;
  /** For which a relay is sent to under one connection id. */
  readonly idLifeMs: number;
  readonly backoffBaseMs: number;
  readonly backoffCapMs: number;
  /** The same of a connector. */
  readonly connectorBackoffCapMs: number;
  /** No delay is longer while somebody waits for the connection. */
  readonly awaitedBackoffCapMs: number;
  /** A connection that was ready this long starts the backoff anew when it ends. */
  readonly backoffResetMs: number;
  /** Over which the clients of a relay that drains spread their dials to the next; less when its deadline is near. */
  readonly moveSpreadMs: number;
  /** Added to the delay when a newer connection took this identity over. */
  readonly replacedBackoffMs: number;
}

export const DEFAULT_LINK_LIMITS: LinkLimits = {
  // Two Initials lost and resent by QUIC (333 ms · (1 + 2 + 4) = 2.3 s), and a slow path on top.
  dialTimeoutMs: 5_000,
  // hello and register are one flight: two round trips of 600 ms with one loss each still fit twice.
  registerTimeoutMs: 5_000,
  // A third of the 30 s idle timeout: two may get lost before the connection does.
  pingIntervalMs: 10_000,
  // Two thirds of the idle timeout, below the 25 s that are held to be short enough for nearly every NAT. An agent that nobody uses loses
  // nothing by a dead relay; its first request asks at once.
  idlePingIntervalMs: 20_000,
  // A dead relay is noticed in 10 s + 5 s = 15 s at most, half the idle timeout.
  pingTimeoutMs: 5_000,
  // 10 000 idle clients renew 33 ids a second, three packets each. A connection may use 65 536 of them: 227 days.
  idLifeMs: 300_000,
  // A relay's restart takes about a second: three tries fall into it (250 + 500 + 1000 ms at most).
  backoffBaseMs: 250,
  // 250 · 2⁷ ms = 32 s: from the eighth failure on, one dial per 15 s on average and client.
  backoffCapMs: 30_000,
  // A connector cannot know that somebody waits for it. 500 of a relay that is down dial it 100 times a second.
  connectorBackoffCapMs: 10_000,
  // Within the 15 s that a request waits there are three dials of a relay that is down, and it is asked at once when it is back.
  awaitedBackoffCapMs: 1_000,
  // One ping interval: a relay that accepts and drops at once never gets to reset the delay.
  backoffResetMs: 10_000,
  // 10 000 clients are 10 handshakes per millisecond of spread at most; nobody waits, the old relay still serves.
  moveSpreadMs: 1_000,
  // Two holders of one certificate replace each other at most twice a minute.
  replacedBackoffMs: 30_000,
};

/** Bounds of an agent. */
export interface AgentLimits extends LinkLimits {
  /** From `openSession` to its failure, whatever happens to the link in between. */
  readonly openTimeoutMs: number;
  /** Requests without an answer, sent or not. */
  readonly maxPendingOpens: number;
  /** Requests at the relay without an answer; the rest waits here. */
  readonly maxOpensInFlight: number;
  /** After a link came back or moved to another relay: how long an absent connector counts as one still on its way. */
  readonly settleMs: number;
  /** From such an answer to the next try. */
  readonly settleRetryMs: number;
}

export const DEFAULT_AGENT_LIMITS: AgentLimits = {
  ...DEFAULT_LINK_LIMITS,
  // One dial that times out (5 s), a delay, one that succeeds and registers (5 s), and the open: a
  // program that waits for its connection gets through a relay's failover instead of an error.
  openTimeoutMs: 15_000,
  // As many as an agent may have open at a relay; about 200 bytes each.
  maxPendingOpens: 1024,
  // Half of the 64 a relay parks for one agent identity, so that two processes of it fit.
  maxOpensInFlight: 32,
  // A connector that left with the same relay is back after three delays of 250 + 500 + 1000 ms and a handshake, or
  // within 3 s of a relay's restart (docs/adr/0009).
  settleMs: 5_000,
  // 20 tries within it; 32 in flight are 128 opens/s for those 5 s: at the relay 50/s, what is beyond is asked again.
  settleRetryMs: 250,
};

/** Bounds of a connector. */
export interface ConnectorLimits extends LinkLimits {
  /** Sessions at once, over all agents and services. */
  readonly maxSessions: number;
}

export const DEFAULT_CONNECTOR_LIMITS: ConnectorLimits = {
  ...DEFAULT_LINK_LIMITS,
  // An inner connection costs about 41 KB: 4096 of them are 164 MiB.
  maxSessions: 4096,
};

/**
 * Defaults with overrides.
 * @throws RangeError for a bound that is not a finite number above zero: a zero duration would spin.
 */
export const resolveLimits = <L extends { readonly [K in keyof L]: number }>(
  defaults: L,
  overrides: Partial<L> = {},
): L => {
  const limits = { ...defaults, ...overrides };
  for (const [name, value] of Object.entries<number>(limits)) {
    if (!Number.isFinite(value) || value <= 0) throw new RangeError(`${name} is ${value}, but must be above 0`);
  }
  return limits;
};
