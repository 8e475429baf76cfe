// One agent's inner connection to one service, as the connector sees it: who it is, what it may
// open, its flows. The relay's word counts for nothing here: identity and service come from the
// inner handshake alone.

import { performance } from 'node:perf_hooks';
import {
  failureMeaning,
  formatIdentity,
  MOVE_CHECKS_MS,
  parseServiceDnsName,
  UdpFlowTable,
  type ConnectionEnd,
  type ConnectionHandler,
  type EndpointConnection,
  type FailureCode,
  type Identity,
  type Logger,
  type QuicStream,
  type SocketAddress,
} from '@ztna/protocol';
import type { ConnectorStats } from './connector-stats.js';
import type { FlowQuota } from './flow-quota.js';
import { InnerFlow, refuseFlow } from './inner-flow.js';
import { isAllowed, type ServedService } from './service.js';

export interface InnerPeerInit {
  readonly trustDomain: string;
  readonly services: ReadonlyMap<string, ServedService>;
  readonly quota: FlowQuota;
  readonly stats: ConnectorStats;
  readonly log: Logger;
  onStart(connection: EndpointConnection): void;
  onEnd(connection: EndpointConnection): void;
  /** @param agent as a SPIFFE URI, once the handshake has proved it */
  acceptsPath(connection: EndpointConnection, host: string, agent: string | undefined): boolean;
}

export class InnerPeer implements ConnectionHandler {
  readonly #init: InnerPeerInit;
  readonly #udpFlows = new UdpFlowTable();
  #agent: Identity | undefined;
  /** The service it was admitted for; what is said of it now is in `services`. */
  #serviceName: string | undefined;
  #connection: EndpointConnection | undefined;
  #log: Logger;
  #judged = false;

  constructor(init: InnerPeerInit) {
    this.#init = init;
    this.#log = init.log;
  }

  onStart(connection: EndpointConnection): void {
    this.#connection = connection;
    this.#init.onStart(connection);
  }

  onEstablished(connection: EndpointConnection): void {
    const refusal = this.#admit(connection);
    this.#judge(refusal?.code);
    if (!refusal) return;
    this.#log.warn('agent_refused', { code: refusal.code, reason: refusal.reason });
    connection.close(refusal.code, refusal.reason);
  }

  acceptsPath(connection: EndpointConnection, host: string): boolean {
    return this.#init.acceptsPath(connection, host, this.#agent && formatIdentity(this.#agent));
  }

  /** To another relay's session; the old one stays up for a moment, for what was lost in it. */
  onMigrated(connection: EndpointConnection, before: SocketAddress): void {
    this.#log.debug('agent_migrated', {});
    for (const ms of MOVE_CHECKS_MS) setTimeout(() => connection.peer.recoverFrom(before), ms).unref();
  }

  onDatagram(_connection: EndpointConnection, payload: Buffer, length: number): void {
    this.#udpFlows.dispatch(payload.subarray(0, length));
  }

  onStream(connection: EndpointConnection, stream: QuicStream): void {
    stream.endMark = true;
    const { quota, stats } = this.#init;
    const agent = this.#agent;
    const service = this.#serviceName === undefined ? undefined : this.#init.services.get(this.#serviceName);
    if (!agent || !service) return; // being closed; a stream without a handler is reset
    if (!quota.take(agent.name, performance.now())) {
      refuseFlow(stream, 'too_many_flows', failureMeaning('too_many_flows'));
      stats.flows.begin(service.name, service.protocol).end('too_many_flows');
      this.#log.warn('flow_refused', { service: service.name, code: 'too_many_flows' });
      return;
    }
    const flow = new InnerFlow({ stream, connection, udpFlows: this.#udpFlows, agent, service, stats, log: this.#log, onDone: () => quota.release(agent.name) });
    flow.start();
  }

  /** Allow lists may have changed. @returns whether the agent had to go */
  review(): boolean {
    const agent = this.#agent;
    const name = this.#serviceName;
    const connection = this.#connection;
    if (!agent || name === undefined || !connection || connection.hasEnded) return false;
    const service = this.#init.services.get(name);
    if (service && isAllowed(service, agent)) return false;
    const code = service ? 'agent_not_allowed' : 'service_not_served';
    this.#log.warn('right_withdrawn', { service: name, code });
    connection.close(code, failureMeaning(code));
    return true;
  }

  onEnd(connection: EndpointConnection, end: ConnectionEnd): void {
    this.#judge(end.code);
    this.#log.debug('agent_connection_ended', { code: end.code, reason: end.reason });
    this.#init.onEnd(connection);
  }

  /** How its handshake ended: counted once. */
  #judge(code: FailureCode | undefined): void {
    if (this.#judged) return;
    this.#judged = true;
    this.#init.stats.handshakes.count(code);
  }

  #admit(connection: EndpointConnection): { code: FailureCode; reason: string } | undefined {
    const { trustDomain, services, log } = this.#init;
    const read = connection.readPeerIdentity();
    if (!read.ok) return { code: read.code, reason: read.reason };
    this.#log = log.child({ identity: formatIdentity(read.identity) });
    if (read.identity.trustDomain !== trustDomain) return { code: 'trust_domain_mismatch', reason: failureMeaning('trust_domain_mismatch') };
    if (read.identity.role !== 'agent') return { code: 'role_not_allowed', reason: 'only agents may open flows' };
    const name = parseServiceDnsName(connection.quic.serverName() ?? '', trustDomain);
    const service = name === undefined ? undefined : services.get(name);
    if (!service) return { code: 'service_not_served', reason: failureMeaning('service_not_served') };
    this.#agent = read.identity;
    this.#serviceName = service.name;
    return undefined;
  }
}
