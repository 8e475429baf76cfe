// Metric families as prom-client renders them: Prometheus's text format. Imported only by a process that
// was told to listen for scrapes, so that no other pays for loading prom-client.

import { Counter, Gauge, Histogram, Registry, type MetricObjectWithValues, type MetricType, type MetricValueWithName } from 'prom-client';
import type { HistogramFamily, MetricFamily, NumberFamily } from './metric-family.js';

export const METRICS_CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

/** @returns what to call for the text; every call reads every value anew */
export const createMetricsRenderer = (families: readonly MetricFamily[]): (() => Promise<string>) => {
  const registry = new Registry();
  for (const family of families) registry.registerMetric(family.type === 'histogram' ? new ReadHistogram(family) : readNumber(family));
  return () => registry.metrics();
};

/** Reset and set again for each scrape: the numbers are kept by whoever counts. */
const readNumber = ({ type, name, help, labels = {}, read }: NumberFamily): Counter | Gauge => {
  const options = { name, help, labelNames: Object.keys(labels), registers: [] };
  if (type === 'gauge')
    return new Gauge({
      ...options,
      collect() {
        this.reset();
        read((value, of = {}) => this.set(of, value));
      },
    });
  return new Counter({
    ...options,
    collect() {
      this.reset();
      read((value, of = {}) => this.inc(of, value));
    },
  });
};

/** prom-client's histograms can only be observed into; this one shows what others have observed. */
class ReadHistogram extends Histogram {
  readonly #family: HistogramFamily;

  constructor(family: HistogramFamily) {
    const { name, help, labels = {} } = family;
    super({ name, help, labelNames: Object.keys(labels), registers: [] });
    this.#family = family;
  }

  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get();
  }

  override get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    const { name, help, read } = this.#family;
    const values: MetricValueWithName<string>[] = [];
    read((histogram, labels = {}) => {
      const { count } = histogram;
      histogram.cumulative().forEach((value, index) => {
        values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: String(histogram.bounds[index]!) }, value });
      });
      values.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: count });
      values.push({ metricName: `${name}_sum`, labels, value: histogram.sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    });
    // Its types number the kinds; its code, and the text, name them.
    const type = 'histogram' as unknown as MetricType.Histogram;
    return Promise.resolve({ name, help, type, values, aggregator: 'sum', collect: () => undefined });
  }
}
