// The health port of a process as a whole: settings, checks and metrics in, an open port out. Everything here
// is optional to the process: it opens only where the configuration has a `health` section.

import type { TlsMaterial } from '../config/tls-material.js';
import type { Logger } from '../log/logger.js';
import { formatAddress, type SocketAddress } from '../udp/datagram-socket.js';
import { certificateFamily, certificateFault, certificateWindow, type CertificateWindow } from './certificate-window.js';
import { accessOf, type HealthTrust } from './health-access.js';
import { HealthHandler } from './health-handler.js';
import type { HealthSettings } from './health-section.js';
import { HealthServer } from './health-server.js';
import type { MetricFamily } from './metric-family.js';
import { mergeFamilies } from './metric-snapshot.js';
import { processMetrics } from './process-metrics.js';
import type { Readiness, ReadinessFault } from './readiness.js';

export interface HealthServiceInit {
  /** Which program this is, such as `intermediate-server`. */
  readonly program: string;
  readonly settings: HealthSettings;
  readonly tls: TlsMaterial;
  /** The process's own; those of every process are added. */
  readonly families: readonly MetricFamily[];
  /** Of other processes that this one answers for; asked at every scrape, and merged by name. Default: none. */
  readonly collect?: () => Promise<readonly MetricFamily[]>;
  /** The process's own checks; its certificate and draining are added. */
  readonly readiness: Readiness;
  readonly isRevoked?: HealthTrust['isRevoked'];
  readonly log: Logger;
}

export class HealthService {
  /** Everything that /metrics shows; empty without metrics. */
  families: readonly MetricFamily[] = [];
  readonly #trust: HealthTrust;
  #settings: HealthSettings;
  #certificates: CertificateWindow;
  #server: HealthServer | undefined;
  #draining = false;
  #stopProcessMetrics: () => void = () => undefined;

  private constructor({ settings, tls, isRevoked = () => false }: HealthServiceInit) {
    this.#settings = settings;
    this.#certificates = certificateWindow(tls);
    this.#trust = { trustDomain: tls.identity.trustDomain, isRevoked };
  }

  /**
   * Opens the port and logs `health_listening` with its address.
   *
   * @throws ZtnaError `address_in_use`, `address_invalid` or `socket_failed`
   */
  static async start(init: HealthServiceInit): Promise<HealthService> {
    const service = new HealthService(init);
    await service.#start(init);
    return service;
  }

  /** What a reload brought. The address, `metrics` and whether there is TLS stay as they were at the start. */
  apply({ settings, tls }: { settings: HealthSettings | undefined; tls: TlsMaterial }): void {
    this.#certificates = certificateWindow(tls);
    const { listen, metrics, tls: withTls } = this.#settings;
    if (settings) this.#settings = { ...settings, listen, metrics, tls: withTls };
    this.#server?.setTls(tls);
  }

  get local(): SocketAddress {
    return this.#server!.local;
  }

  /** From now on not ready: the process was asked to stop. */
  drain(): void {
    this.#draining = true;
  }

  async stop(): Promise<void> {
    this.#stopProcessMetrics();
    await this.#server?.close();
  }

  async #start({ program, settings, tls, families, collect, readiness, log }: HealthServiceInit): Promise<void> {
    let metrics: { contentType: string; render: () => Promise<string> } | undefined;
    const handler: HealthHandler = new HealthHandler({
      readiness: () => [...this.#ownFaults(), ...readiness()],
      accessOf: (request) => accessOf(request, this.#settings, this.#trust),
      get metrics() {
        return metrics;
      },
      log,
    });
    if (settings.metrics) {
      const { createMetricsRenderer, METRICS_CONTENT_TYPE } = await import('./prometheus-registry.js');
      const process = processMetrics(program, log);
      this.#stopProcessMetrics = () => process.stop();
      this.families = [...process.families, certificateFamily(() => this.#certificates), this.#drainingFamily(), ...handler.families, ...families];
      metrics = { contentType: METRICS_CONTENT_TYPE, render: collect ? async () => createMetricsRenderer(mergeFamilies([...this.families, ...(await collect())]))() : createMetricsRenderer(this.families) };
    }
    const { listen, tls: withTls } = settings;
    this.#server = await HealthServer.open({ listen, tls: withTls ? tls : undefined, handle: (request, response) => handler.handle(request, response) });
    log.info('health_listening', { address: formatAddress(this.#server.local), tls: withTls, metrics: settings.metrics });
  }

  *#ownFaults(): Generator<ReadinessFault> {
    const fault = certificateFault(this.#certificates, Date.now());
    if (fault) yield fault;
    if (this.#draining) yield { check: 'draining', reason: 'asked to stop' };
  }

  #drainingFamily(): MetricFamily {
    return {
      type: 'gauge',
      name: 'ztna_draining',
      help: '1 once the process was asked to stop',
      read: (emit) => emit(this.#draining ? 1 : 0),
    };
  }
}
