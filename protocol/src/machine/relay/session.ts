// One session, from `open` to its end: an agent end and, per connector asked, a connector end. Owns
// the record only; session-broker.ts moves it through its states, session-table.ts holds the ends.

import type { RelayConnection } from './relay-connection.js';

/** The request of an agent that a session answers. */
export interface SessionRequest {
  readonly agent: RelayConnection;
  readonly request: number;
  readonly service: string;
}

export class Session implements SessionRequest {
  readonly agent: RelayConnection;
  readonly request: number;
  readonly service: string;
  readonly agentSlot: number;
  /** The connector being asked, then the one that accepted, with the slot of its end. */
  connector: RelayConnection | undefined;
  connectorSlot = -1;
  established = false;
  /** Passes of the idle sweep in a row that found it unused. */
  quietPasses = 0;
  /** Connectors asked so far, each at most once. */
  readonly asked: RelayConnection[] = [];

  constructor({ agent, request, service }: SessionRequest, agentSlot: number) {
    this.agent = agent;
    this.request = request;
    this.service = service;
    this.agentSlot = agentSlot;
  }
}
