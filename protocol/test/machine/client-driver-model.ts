// A client machine as its driver sees it: the one connection, and the outcomes it was promised.

import type { AgentCommand, ConnectorCommand, SessionHandle } from '@ztna/protocol';

/** Performs commands in the mind only, and throws at the first broken promise. */
export class DriverModel {
  #connection: 'none' | 'dialing' | 'up' = 'none';
  readonly #unanswered = new Set<number>();
  readonly #live = new Set<string>();

  /** The request of the last `open` that was sent; 0, which none has, before the first. */
  lastOpen = 0;
  /** The timestamp of the last `ping` that was sent. */
  lastPing = 0;

  get unanswered(): number {
    return this.#unanswered.size;
  }

  get live(): number {
    return this.#live.size;
  }

  established(): void {
    if (this.#connection === 'dialing') this.#connection = 'up';
  }

  disconnected(): void {
    this.#connection = 'none';
  }

  ask(request: number): void {
    check(!this.#unanswered.has(request), 'request ids in use are not handed out again');
    this.#unanswered.add(request);
  }

  end(session: SessionHandle): void {
    check(this.#live.delete(key(session)), 'only live sessions can be closed');
  }

  perform(commands: readonly (AgentCommand | ConnectorCommand)[]): void {
    for (const command of commands) {
      switch (command.kind) {
        case 'dial':
          check(this.#connection === 'none', 'one connection at a time');
          this.#connection = 'dialing';
          break;
        case 'send':
          check(this.#connection === 'up', 'nothing is sent without a connection');
          if (command.message.type === 'ping') this.lastPing = command.message.timestamp;
          if (command.message.type === 'open') this.lastOpen = command.message.request;
          break;
        case 'disconnect':
          check(this.#connection !== 'none', 'only a connection can be closed');
          this.#connection = 'none';
          break;
        case 'sessionOpened':
          check(this.#unanswered.delete(command.request), 'one outcome per request');
          this.#begin(command.session);
          break;
        case 'sessionIncoming':
          this.#begin(command.session);
          break;
        case 'sessionFailed':
          check(this.#unanswered.delete(command.request), 'one outcome per request');
          break;
        case 'sessionClosed':
          check(this.#live.delete(key(command.session)), 'only live sessions end, and once');
          break;
        case 'event':
          break;
      }
    }
  }

  #begin(session: SessionHandle): void {
    check(!this.#live.has(key(session)), 'live sessions have different handles');
    this.#live.add(key(session));
  }
}

export function check(holds: boolean, promise: string): void {
  if (!holds) throw new Error(`broken: ${promise}`);
}

const key = ({ slot, tag }: SessionHandle): string => `${slot}:${tag}`;
