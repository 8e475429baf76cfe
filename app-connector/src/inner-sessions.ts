// The relay sessions of a connector and the inner connections that use them as paths. Owns which
// connection may be heard on which session, and when a session has no more use; connections themselves
// are inner-peer.ts, sessions come from the machine.
//
// A connection that moves to another relay has two sessions for a while, and lives as long as one of them.

import type { EndpointConnection, FailureCode, LinkedSession, SessionCarrier } from '@ztna/protocol';

/** One, and a few more that an agent may have left behind: each costs a handshake that the agent need not pay for. */
const MAX_CONNECTIONS_PER_SESSION = 4;
/** How often sessions are looked at for being idle. */
const SWEEP_INTERVAL_MS = 30_000;
/** Sweeps without a datagram: 180 s and less than one more, beyond the 60 s after which a connection idles out. */
const IDLE_SWEEPS = 6;

interface InnerSession {
  link: LinkedSession['link'];
  session: LinkedSession['session'];
  /** The agent the relay says it is for: a SPIFFE URI. */
  readonly agent: string;
  readonly host: string;
  readonly connections: Set<EndpointConnection>;
}

export class InnerSessions {
  readonly #carrier: SessionCarrier;
  readonly #close: (session: LinkedSession, code: FailureCode) => void;
  readonly #byHost = new Map<string, InnerSession>();
  readonly #byHandle = new Map<string, InnerSession>();
  readonly #byConnection = new Map<EndpointConnection, Set<InnerSession>>();
  readonly #sweep: NodeJS.Timeout;

  /** @param close ends a session that has no more use at the relay */
  constructor(carrier: SessionCarrier, close: (session: LinkedSession, code: FailureCode) => void) {
    this.#carrier = carrier;
    this.#close = close;
    this.#sweep = setInterval(() => this.sweep(), SWEEP_INTERVAL_MS).unref();
  }

  get size(): number {
    return this.#byHost.size;
  }

  add({ link, session }: LinkedSession, agent: string, outer: EndpointConnection): void {
    const { host } = this.#carrier.addSession(session, outer, agent);
    const added = { link, session, agent, host, connections: new Set<EndpointConnection>() };
    this.#byHost.set(host, added);
    this.#byHandle.set(handleKey(added), added);
  }

  /** The relay knows a session by another name now, on another link. */
  move(from: LinkedSession, to: LinkedSession, outer: EndpointConnection): void {
    const moved = this.#byHandle.get(handleKey(from));
    if (!moved) return;
    this.#byHandle.delete(handleKey(from));
    moved.link = to.link;
    moved.session = to.session;
    this.#byHandle.set(handleKey(moved), moved);
    this.#carrier.moveSession(moved.host, to.session, outer);
  }

  /** The relay ended a session: connections that have no other end with it. */
  end(ended: LinkedSession, code: FailureCode): void {
    const session = this.#byHandle.get(handleKey(ended));
    if (!session) return;
    this.#forget(session, code);
  }

  /** Whether the session behind a made-up host has room for one more connection. */
  admits(host: string): boolean {
    const session = this.#byHost.get(host);
    return session !== undefined && session.connections.size < MAX_CONNECTIONS_PER_SESSION;
  }

  connect(connection: EndpointConnection, host: string): void {
    const session = this.#byHost.get(host);
    if (!session || session.connections.has(connection)) return;
    session.connections.add(connection);
    const sessions = this.#byConnection.get(connection) ?? new Set<InnerSession>();
    this.#byConnection.set(connection, sessions.add(session));
  }

  /**
   * Whether packets of a connection may come over the session behind `host`: only over one of the same
   * agent, or a relay, or another agent, could have it replayed elsewhere.
   *
   * @param agent who the inner handshake proved to be at the other end, as a URI; undefined before it
   */
  acceptsPath(connection: EndpointConnection, host: string, agent: string | undefined): boolean {
    const session = this.#byHost.get(host);
    if (!session || agent === undefined || session.agent !== agent) return false;
    this.connect(connection, host);
    return true;
  }

  /** A connection is over: sessions it was the last to use have no more use. */
  disconnect(connection: EndpointConnection): void {
    const sessions = this.#byConnection.get(connection) ?? [];
    this.#byConnection.delete(connection);
    for (const session of sessions) {
      session.connections.delete(connection);
      if (session.connections.size === 0) this.#endUnused(session, 'no_error');
    }
  }

  /** Ends the sessions on which nothing has arrived for long. An agent that opens sessions and leaves them must not keep them. */
  sweep(): number {
    const idle = this.#carrier.sweep(IDLE_SWEEPS);
    for (const host of idle) {
      const session = this.#byHost.get(host);
      if (!session) continue;
      this.#endUnused(session, 'session_idle');
    }
    return idle.length;
  }

  stop(): void {
    clearInterval(this.#sweep);
  }

  #endUnused(session: InnerSession, code: FailureCode): void {
    this.#forget(session, code);
    this.#close(session, code);
  }

  /** Connections that have no other session end with this one. */
  #forget(session: InnerSession, code: FailureCode): void {
    this.#carrier.removeSession(session.host);
    this.#byHost.delete(session.host);
    this.#byHandle.delete(handleKey(session));
    for (const connection of [...session.connections]) {
      const sessions = this.#byConnection.get(connection);
      sessions?.delete(session);
      if (!sessions?.size) connection.abandon(code);
    }
  }
}

const handleKey = ({ link, session: { slot, tag } }: LinkedSession): string => `${link}:${slot}:${tag}`;
