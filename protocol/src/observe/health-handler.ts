// What the health port answers: one function from a request to a reply. Owns paths, methods and status codes;
// sockets and their bounds are health-server.ts, who may read what is health-access.ts.

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../log/logger.js';
import type { Access } from './health-access.js';
import { byLabel, type LabelSet, type NumberFamily } from './metric-family.js';
import type { Readiness } from './readiness.js';

export const HEALTH_PATHS = ['/healthz', '/readyz', '/metrics'] as const;
const ANY_OTHER_PATH = 'other';
type CountedPath = (typeof HEALTH_PATHS)[number] | typeof ANY_OTHER_PATH;
const COUNTED_PATHS: LabelSet<CountedPath> = { values: [...HEALTH_PATHS, ANY_OTHER_PATH] };

/** At most ten renderings a second, however many ask: about 1 ms of CPU each. */
const RENDER_INTERVAL_MS = 100;

export interface HealthHandlerInit {
  readonly readiness: Readiness;
  readonly accessOf: (request: IncomingMessage) => Access;
  readonly metrics: { readonly contentType: string; readonly render: () => Promise<string> } | undefined;
  readonly log: Logger;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };

export class HealthHandler {
  readonly #init: HealthHandlerInit;
  readonly #requests: Record<CountedPath, number> = { '/healthz': 0, '/readyz': 0, '/metrics': 0, other: 0 };
  #denied = 0;
  #rendered: Promise<string> | undefined;
  #renderedAt = -Infinity;

  constructor(init: HealthHandlerInit) {
    this.#init = init;
  }

  get families(): readonly NumberFamily[] {
    return [
      byLabel({ type: 'counter', name: 'ztna_health_requests_total', help: 'Requests to the health port', label: 'path', set: COUNTED_PATHS }, (path) => this.#requests[path]),
      {
        type: 'counter',
        name: 'ztna_health_requests_denied_total',
        help: 'Requests for /metrics without the right token or certificate',
        read: (emit) => emit(this.#denied),
      },
    ];
  }

  /** Never rejects, and answers every request once. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply;
    try {
      reply = await this.#replyTo(request);
    } catch (error) {
      this.#init.log.error('health_request_failed', { code: 'internal_error', reason: error instanceof Error ? error.message : String(error) });
      reply = text(500, 'internal error');
    }
    // A body is of no use here and is not read: the connection ends with the answer.
    const hasBody = request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined;
    response.writeHead(reply.status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(reply.body),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...reply.headers,
      ...(hasBody ? { connection: 'close' } : {}),
    });
    response.end(reply.body);
  }

  async #replyTo(request: IncomingMessage): Promise<Reply> {
    const path = (request.url ?? '').split('?', 1)[0]!;
    const known = HEALTH_PATHS.find((one) => one === path);
    this.#requests[known ?? ANY_OTHER_PATH]++;
    if (request.method !== 'GET' && request.method !== 'HEAD') return { ...text(405, 'only GET and HEAD'), headers: { allow: 'GET, HEAD' } };
    switch (known) {
      case '/healthz':
        return text(200, 'ok');
      case '/readyz':
        return this.#readiness(request);
      case '/metrics':
        return this.#metrics(request);
      case undefined:
        return text(404, `nothing here; there is ${HEALTH_PATHS.join(', ')}`);
    }
  }

  #readiness(request: IncomingMessage): Reply {
    const faults = this.#init.readiness();
    // Which service, and why, is nobody's business who only reaches the port.
    const mayKnow = this.#init.accessOf(request) === 'granted';
    const notReady = mayKnow ? faults : [...new Set(faults.map(({ check }) => check))].map((check) => ({ check }));
    const body = `${JSON.stringify({ status: faults.length === 0 ? 'ready' : 'not ready', notReady })}\n`;
    return { status: faults.length === 0 ? 200 : 503, body, headers: JSON_TYPE };
  }

  async #metrics(request: IncomingMessage): Promise<Reply> {
    const { metrics, accessOf } = this.#init;
    if (!metrics) return text(404, 'metrics are off: health.metrics is false');
    const access = accessOf(request);
    if (access !== 'granted') {
      this.#denied++;
      if (access === 'forbidden') return text(403, 'not allowed to read metrics');
      return { ...text(401, 'show the token: Authorization: Bearer …'), headers: { 'www-authenticate': 'Bearer realm="metrics"' } };
    }
    return { status: 200, body: await this.#render(metrics.render), headers: { 'content-type': metrics.contentType } };
  }

  #render(render: () => Promise<string>): Promise<string> {
    const now = performance.now();
    if (this.#rendered && now - this.#renderedAt < RENDER_INTERVAL_MS) return this.#rendered;
    this.#renderedAt = now;
    return (this.#rendered = render());
  }
}

const text = (status: number, body: string): Reply => ({ status, body: `${body}\n` });
