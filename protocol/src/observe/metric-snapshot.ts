// Metric families as plain data, so that one process can answer a scrape for several: each sends a snapshot, and they
// are shown together, every series of theirs with a label that says whose it is.

import type { HistogramFamily, HistogramReading, Labels, LabelSet, MetricFamily, NumberFamily } from './metric-family.js';

interface HistogramValue {
  readonly bounds: readonly number[];
  readonly cumulative: number[];
  readonly sum: number;
  readonly count: number;
}

interface Sample<Value> {
  readonly labels: Labels;
  readonly value: Value;
}

/** One family with its values; survives JSON. */
export type FamilySnapshot = Pick<MetricFamily, 'name' | 'help'> & { readonly labelNames: readonly string[] } & (
    | { readonly type: NumberFamily['type']; readonly samples: readonly Sample<number>[] }
    | { readonly type: 'histogram'; readonly samples: readonly Sample<HistogramValue>[] }
  );

/** Reads every value. */
export const takeSnapshot = (families: readonly MetricFamily[]): FamilySnapshot[] =>
  families.map((family): FamilySnapshot => {
    const { name, help, labels = {} } = family;
    const about = { name, help, labelNames: Object.keys(labels) };
    if (family.type !== 'histogram') {
      const samples: Sample<number>[] = [];
      family.read((value, of = {}) => void samples.push({ labels: of, value }));
      return { ...about, type: family.type, samples };
    }
    const samples: Sample<HistogramValue>[] = [];
    family.read((reading, of = {}) => void samples.push({ labels: of, value: copyOf(reading) }));
    return { ...about, type: family.type, samples };
  });

/** Families that show a snapshot, each series with `label` set to `value`. */
export const showSnapshot = (snapshot: readonly FamilySnapshot[], label: string, value: string): MetricFamily[] =>
  snapshot.map((family): MetricFamily => {
    const { name, help, labelNames } = family;
    const labels: Record<string, LabelSet> = Object.fromEntries([...labelNames.map((one) => [one, ANY] as const), [label, ANY] as const]);
    if (family.type !== 'histogram') {
      const { type, samples } = family;
      return { name, help, labels, type, read: (emit) => samples.forEach((sample) => emit(sample.value, { ...sample.labels, [label]: value })) };
    }
    const { type, samples } = family;
    return { name, help, labels, type, read: (emit) => samples.forEach((sample) => emit(readingOf(sample.value), { ...sample.labels, [label]: value })) };
  });

const ANY: LabelSet = { values: [] };

const copyOf = (reading: HistogramReading): HistogramValue => ({ bounds: reading.bounds, cumulative: reading.cumulative(), sum: reading.sum, count: reading.count });

const readingOf = ({ bounds, cumulative, sum, count }: HistogramValue): HistogramReading => ({ bounds, sum, count, cumulative: () => [...cumulative] });

/** One family for each name, in the order in which names come first; its series are those of all of that name and type. */
export const mergeFamilies = (families: readonly MetricFamily[]): MetricFamily[] => {
  const byName = new Map<string, MetricFamily>();
  for (const family of families) {
    const before = byName.get(family.name);
    byName.set(family.name, before ? joined(before, family) : family);
  }
  return [...byName.values()];
};

const joined = (one: MetricFamily, other: MetricFamily): MetricFamily => {
  const labels = { ...one.labels, ...other.labels };
  if (one.type === 'histogram') {
    if (other.type !== 'histogram') throw new TypeError(`${one.name} is a ${one.type} and a ${other.type}`);
    const merged: HistogramFamily = { ...one, labels, read: (emit) => [one, other].forEach(({ read }) => read(emit)) };
    return merged;
  }
  if (other.type !== one.type) throw new TypeError(`${one.name} is a ${one.type} and a ${other.type}`);
  const merged: NumberFamily = { ...one, labels, read: (emit) => [one, other].forEach(({ read }) => read(emit)) };
  return merged;
};
