// A real Prometheus that scrapes what the test runs, by the scrape configuration in k8s/observability: what differs is how it
// finds its targets (no Kubernetes to ask) and where its certificate is.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Test } from 'tap';
import { parse, stringify } from 'yaml';
import { ROOT } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { unusedPort } from '../harness/tcp.js';

export const OBSERVABILITY = join(ROOT, 'k8s', 'observability');

interface ScrapeJob {
  job_name: string;
  kubernetes_sd_configs?: unknown;
  relabel_configs?: unknown;
  static_configs?: unknown;
  [key: string]: unknown;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface PrometheusInit {
  readonly program: string;
  /** job → `host:port` */
  readonly targets: Readonly<Record<string, string>>;
  /** Folder with ca.crt, prometheus.crt and prometheus.key. */
  readonly pki: string;
  readonly trustDomain: string;
}

export class Prometheus {
  readonly #address: string;

  private constructor(address: string) {
    this.#address = address;
  }

  static async start(t: Test, { program, targets, pki, trustDomain }: PrometheusInit): Promise<Prometheus> {
    const directory = join(pki, '..', 'prometheus');
    mkdirSync(directory);
    const text = readFileSync(join(OBSERVABILITY, 'scrape-config.yaml'), 'utf8')
      .replaceAll('corp.example', trustDomain)
      .replaceAll('/etc/prometheus/ztna/ca.crt', join(pki, 'ca.crt'))
      .replaceAll('/etc/prometheus/ztna/tls.', join(pki, 'prometheus.'));
    const { scrape_configs } = parse(text) as { scrape_configs: ScrapeJob[] };
    for (const job of scrape_configs) {
      const target = targets[job.job_name];
      if (target === undefined) throw new Error(`nothing runs for the job ${job.job_name}`);
      delete job.kubernetes_sd_configs;
      delete job.relabel_configs;
      job.static_configs = [{ targets: [target] }];
    }
    const path = join(directory, 'prometheus.yaml');
    writeFileSync(path, stringify({ global: { scrape_interval: '2s', scrape_timeout: '2s' }, rule_files: [join(OBSERVABILITY, 'alert-rules.yaml')], scrape_configs }));
    const address = `127.0.0.1:${await unusedPort()}`;
    const process = new ManagedProcess(program, [`--config.file=${path}`, `--storage.tsdb.path=${join(directory, 'data')}`, `--web.listen-address=${address}`]);
    t.teardown(() => process.stop());
    await process.waitForLine(/Server is ready to receive web requests/);
    return new Prometheus(address);
  }

  async query(expression: string): Promise<readonly Series[]> {
    return (await this.#get<{ result: Series[] }>(`/api/v1/query?query=${encodeURIComponent(expression)}`)).result;
  }

  /** Names of rules that do not evaluate. */
  async failedRules(): Promise<readonly string[]> {
    const { groups } = await this.#get<{ groups: { rules: { name: string; health: string }[] }[] }>('/api/v1/rules');
    return groups.flatMap(({ rules }) => rules).filter(({ health }) => health === 'err').map(({ name }) => name);
  }

  /** Asks until the answer is as it should be; the test's own timeout ends it. */
  async until<A>(ask: (prometheus: this) => Promise<A>, holds: (answer: A) => boolean): Promise<A> {
    for (;;) {
      const answer = await ask(this);
      if (holds(answer)) return answer;
      await wait(250);
    }
  }

  async #get<A>(path: string): Promise<A> {
    const response = await fetch(`http://${this.#address}${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data: A };
    if (answer.status !== 'success') throw new Error(`${path}: ${answer.error ?? response.status}`);
    return answer.data;
  }
}
