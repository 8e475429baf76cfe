// A client machine as its driver sees it: a connection per link, and the outcomes it was promised.

import type { AgentCommand, ConnectorCommand, LinkId, SessionHandle } from '@ztna/protocol';

/** Performs commands in the mind only, and throws at the first broken promise. */
export class DriverModel {
  readonly #connections = new Map<LinkId, 'dialing' | 'up'>();
  readonly #relays = new Map<LinkId, number>();
  readonly #registered = new Set<LinkId>();
  readonly #unanswered = new Set<number>();
  readonly #live = new Set<string>();

  /** The request of the last `open` that was sent; 0, which none has, before the first. */
  lastOpen = 0;
  /** Most connections at once so far. */
  mostConnections = 0;

  get unanswered(): number {
    return this.#unanswered.size;
  }

  get live(): number {
    return this.#live.size;
  }

  /** One of the links that have a connection; link 0 when there is none. */
  pick(n: number): LinkId {
    const links = [...this.#connections.keys()];
    return links[n % links.length] ?? 0;
  }

  /** The relay that is about to acknowledge the link's registration, once for each connection. */
  registering(link: LinkId): number | undefined {
    if (this.#connections.get(link) !== 'up' || this.#registered.has(link)) return undefined;
    this.#registered.add(link);
    return this.#relays.get(link);
  }

  established(link: LinkId): void {
    if (this.#connections.get(link) === 'dialing') this.#connections.set(link, 'up');
  }

  disconnected(link: LinkId): void {
    this.#connections.delete(link);
  }

  ask(request: number): void {
    check(!this.#unanswered.has(request), 'request ids in use are not handed out again');
    this.#unanswered.add(request);
  }

  end(link: LinkId, session: SessionHandle): void {
    check(this.#live.delete(key(link, session)), 'only live sessions can be closed');
  }

  perform(commands: readonly (AgentCommand | ConnectorCommand)[]): void {
    for (const command of commands) {
      switch (command.kind) {
        case 'dial':
          check(!this.#connections.has(command.link), 'one connection of a link at a time');
          this.#connections.set(command.link, 'dialing');
          this.#relays.set(command.link, command.relay);
          this.#registered.delete(command.link);
          this.mostConnections = Math.max(this.mostConnections, this.#connections.size);
          break;
        case 'send':
          check(this.#connections.get(command.link) === 'up', 'nothing is sent without a connection');
          if (command.message.type === 'open') this.lastOpen = command.message.request;
          break;
        case 'ping':
          check(this.#connections.get(command.link) === 'up', 'nobody is asked without a connection');
          break;
        case 'sessionMoved':
          check(this.#live.delete(key(command.from.link, command.from.session)), 'only a live session moves');
          this.#live.add(key(command.to.link, command.to.session));
          break;
        case 'disconnect':
          check(this.#connections.delete(command.link), 'only a connection can be closed');
          break;
        case 'sessionOpened':
          check(this.#unanswered.delete(command.request), 'one outcome per request');
          this.#begin(command.link, command.session);
          break;
        case 'sessionIncoming':
          this.#begin(command.link, command.session);
          break;
        case 'sessionFailed':
          check(this.#unanswered.delete(command.request), 'one outcome per request');
          break;
        case 'sessionClosed':
          check(this.#live.delete(key(command.link, command.session)), 'only live sessions end, and once');
          break;
        case 'ping':
          check(this.#connections.get(command.link) === 'up', 'nobody is asked without a connection');
          break;
        case 'relayMoved':
          check(this.#connections.get(command.to) === 'up', 'a relay takes over once it is connected');
          break;
        case 'relayDraining':
        case 'event':
          break;
      }
    }
  }

  #begin(link: LinkId, session: SessionHandle): void {
    check(!this.#live.has(key(link, session)), 'live sessions of a link have different handles');
    this.#live.add(key(link, session));
  }
}

export function check(holds: boolean, promise: string): void {
  if (!holds) throw new Error(`broken: ${promise}`);
}

const key = (link: LinkId, { slot, tag }: SessionHandle): string => `${link}:${slot}:${tag}`;
