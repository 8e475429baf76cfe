// Alert rules, scrape configuration and dashboard against what the processes really show: rules by the real promtool, queries by a
// real Prometheus that scrapes an overlay with traffic in it, over mutual TLS as its configuration says.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { DROP_REASON_NAMES, FAILURE_CODES, PACKET_DROP_REASONS } from '@ztna/protocol';
import { ROOT, TRUST_DOMAIN } from '../harness/lab.js';
import { fetchHealth } from '../harness/scrape.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startCluster } from './cluster.js';
import { Manifests } from './manifests.js';
import { Operator } from './operator.js';
import { OBSERVABILITY, Prometheus } from './prometheus.js';
import { groupedBy, namedInLegend, selectorsOf } from './selectors.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly type: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Query {
  readonly where: string;
  readonly expression: string;
  readonly legend: string;
}

const read = (name: string): string => readFileSync(join(OBSERVABILITY, name), 'utf8');
const rules = (parse(read('alert-rules.yaml')) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules);
const { panels, annotations } = JSON.parse(read('dashboard.json')) as { panels: Panel[]; annotations: { list: { name: string; expr: string }[] } };
const queries: readonly Query[] = [
  ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr, legendFormat }) => ({ where: `panel ${title}`, expression: expr, legend: legendFormat }))),
  ...annotations.list.map(({ name, expr }) => ({ where: `annotation ${name}`, expression: expr, legend: '' })),
  ...rules.map(({ alert, expr, annotations: { summary, description } }) => ({ where: alert, expression: expr, legend: `${summary}${description}`.replaceAll('$labels.', '') })),
];

void t.test('promtool: the rules are rules, and every unit test of them holds', async (t) => {
  const promtool = requireTool(t, 'promtool');
  if (promtool === undefined) return;
  for (const args of [['check', 'rules', 'alert-rules.yaml'], ['test', 'rules', 'alert-rules.test.yaml']]) {
    const { exit, stdout, stderr } = await runTool(promtool, [...args.slice(0, 2), join(OBSERVABILITY, args[2]!)]);
    t.equal(exit, 0, args.join(' '), { said: `${stdout.toString()}${stderr}` });
  }
});

void t.test('every alert has a unit test in which it fires and one in which it does not, a severity, and words for people', async (t) => {
  const { tests } = parse(read('alert-rules.test.yaml')) as { tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[] };
  const shown = tests.flatMap((one) => one.alert_rule_test).map(({ alertname, exp_alerts }) => `${alertname} ${exp_alerts.length > 0 ? 'fires' : 'is quiet'}`);
  t.strictSame([...new Set(shown)].sort(), rules.flatMap(({ alert }) => [`${alert} fires`, `${alert} is quiet`]).sort());
  for (const { alert, labels, annotations } of rules) {
    t.match(labels.severity, /^(critical|warning)$/, alert);
    t.match(annotations, { summary: /\S/, description: /\S/ }, alert);
  }
});

void t.test('every metric, label and label value that a query names exists', async (t) => {
  const known = documentedMetrics();
  const ofTargets = ['job', 'instance'];
  for (const { where, expression, legend } of queries) {
    const selectors = selectorsOf(expression);
    t.ok(selectors.length > 0, `${where} asks for something`);
    const labels = new Set(ofTargets);
    for (const { name, matchers } of selectors) {
      const family = name === 'up' ? { labels: new Map<string, ReadonlySet<string> | undefined>() } : known.get(name);
      if (!family) {
        t.fail(`${where}: no metric ${name}`);
        continue;
      }
      for (const label of family.labels.keys()) labels.add(label);
      for (const { label, operator, value } of matchers) {
        if (ofTargets.includes(label)) continue;
        if (!family.labels.has(label)) t.fail(`${where}: ${name} has no label ${label}`);
        const set = family.labels.get(label);
        for (const word of operator.endsWith('~') ? value.split('|') : [value]) if (set && !set.has(word)) t.fail(`${where}: ${name} never has ${label}="${word}"`);
      }
    }
    for (const label of [...groupedBy(expression), ...namedInLegend(legend)]) if (!labels.has(label)) t.fail(`${where}: nothing in it has a label ${label}`);
  }
});

void t.test('the check of names finds what is wrong', async (t) => {
  const known = documentedMetrics();
  t.notOk(known.has('ztna_relay_datagrams_total'));
  t.ok(known.get('ztna_relay_reloads_total')!.labels.get('result')!.has('refused'));
  t.notOk(known.get('ztna_relay_reloads_total')!.labels.get('result')!.has('failed'));
  t.ok(known.get('ztna_relay_revocation_seconds_bucket')!.labels.has('le'));
  t.strictSame(selectorsOf('sum by (a) (rate(ztna_x_total{code!="ok", reason=~"p|q"}[5m])) / up'), [
    { name: 'ztna_x_total', matchers: [{ label: 'code', operator: '!=', value: 'ok' }, { label: 'reason', operator: '=~', value: 'p|q' }] },
    { name: 'up', matchers: [] },
  ]);
  t.strictSame([groupedBy('sum by (a, b) (x) and on (c) y'), namedInLegend('{{a}} of {{ b }}')], [['a', 'b', 'c'], ['a', 'b']]);
});

void t.test('every family of relay and connector is in the dashboard or an alert, or left out on purpose', async (t) => {
  // Totals of what another panel shows in more detail, or of interest in a search for a fault only.
  const leftOut = [
    'ztna_health_requests_total', 'ztna_relay_datagrams_consumed_total', 'ztna_relay_cpu_seconds_per_datagram', 'ztna_relay_sessions_closed_total', 'ztna_relay_control_faults_total',
    'ztna_relay_reload_age_seconds', 'ztna_relay_deny_list_entries', 'ztna_relay_sources_tracked', 'ztna_relay_sources_overflow_connections', 'ztna_relay_clients_paused',
    'ztna_relay_stateless_resets_total', 'ztna_relay_stateless_resets_limited_total', 'ztna_connector_registrations_total', 'ztna_connector_relay_draining', 'ztna_connector_sessions',
    'ztna_connector_inner_connections', 'ztna_connector_inner_handshakes_total', 'ztna_log_lines_suppressed_total', 'ztna_relay_journal_left_out_total',
    'ztna_relay_messages_refused_total', 'ztna_relay_session_failovers_total',
  ];
  const used = new Set(queries.flatMap(({ expression }) => selectorsOf(expression)).map(({ name }) => name.replace(/_(bucket|count|sum)$/, '')));
  const families = [...documentedMetrics().keys()].filter((name) => !name.startsWith('ztna_agent_') && !/_(bucket|count|sum)$/.test(name));
  t.strictSame(families.filter((name) => !used.has(name)).sort(), leftOut.sort());
});

void t.test('panels have titles and numbers of their own, and do not overlap', async (t) => {
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const shown = panels.filter(({ type }) => type !== 'row');
  t.equal(new Set(shown.map(({ title }) => title)).size, shown.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`));
  t.equal(new Set(cells).size, cells.length);
  t.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24));
});

void t.test('a real Prometheus scrapes an overlay by its scrape configuration, and every query of dashboard and alerts evaluates', async (t) => {
  const program = requireTool(t, 'prometheus');
  const manifests = program === undefined ? undefined : await Manifests.copy(t);
  if (!manifests || program === undefined) return;
  const operator = await Operator.start(manifests);
  await operator.prepare('self-managed');
  const { relay, connector, sidecar, port } = await startCluster(t, await manifests.render('overlays/self-managed'), operator);
  const at = (healthPort: number): string => `127.0.0.1:${healthPort}`;
  const prometheus = await Prometheus.start(t, {
    program,
    pki: operator.pki,
    trustDomain: TRUST_DOMAIN,
    targets: { 'ztna-relay': at(relay.healthPort), 'ztna-connector': at(connector.healthPort), 'ztna-sample-app': at(sidecar.healthPort) },
  });
  // Two scrapes with traffic between them make a rate.
  await prometheus.until((one) => one.query('sum_over_time(up[1m]) >= 2'), (series) => series.length === 3);
  for (const service of ['web', 'sample'] as const) t.equal((await fetchHealth(at(port(service)), service === 'web' ? '/hello' : '/')).status, 200);
  await prometheus.until((one) => one.query('rate(ztna_connector_flows_total{code="ok"}[1m]) > 0 or increase(ztna_connector_flow_bytes_total[1m]) > 0'), (series) => series.length > 0);

  // Each is scraped at a time of its own.
  await prometheus.until((one) => one.query('rate(ztna_relay_datagrams_received_total[1m]) > 0'), (series) => series.length > 0);

  // Quiet while all is well: codes of refusals, and what happens only now and then.
  const ofTheMachine = ['ZtnaTargetDown', 'ZtnaEventLoopLag', 'ZtnaEventLoopSaturated', 'ZtnaDatagramsDropped']; // a busy one may be late
  const quiet = /dropped|turned away|sent away|lost, by reason|Restarts|99th percentile|Workers up|^Flows, by outcome|Connections ended/;
  for (const { where, expression } of queries) {
    const series = await prometheus.query(expression.replaceAll('$__rate_interval', '1m').replaceAll('$instance', '.+'));
    const isAlert = rules.some(({ alert }) => alert === where);
    if (ofTheMachine.includes(where)) continue;
    if (isAlert) t.strictSame(series, [], `${where} does not fire when all is well`);
    else if (!quiet.test(where)) t.ok(series.length > 0, `${where} shows something`);
  }
  t.strictSame(await prometheus.failedRules(), []);
});

interface Documented {
  /** Label → its closed set; undefined for services, which a configuration chooses. */
  readonly labels: ReadonlyMap<string, ReadonlySet<string> | undefined>;
}

/** docs/metrics.md, which another test holds equal to the code; histograms with their three series. */
function documentedMetrics(): ReadonlyMap<string, Documented> {
  const page = readFileSync(join(ROOT, 'docs', 'metrics.md'), 'utf8');
  const known = new Map<string, Documented>();
  for (const [, name, type, column] of page.matchAll(/^\| `((?:ztna|process)_\w+)` \| (\w+) \| ([^|]*) \|/gm)) {
    const labels = new Map(column!.split('; ').filter((one) => one.trim() !== '').map(labelSet));
    known.set(name!, { labels });
    if (type !== 'histogram') continue;
    for (const suffix of ['sum', 'count']) known.set(`${name!}_${suffix}`, { labels });
    known.set(`${name!}_bucket`, { labels: new Map([...labels, ['le', undefined]]) });
  }
  return known;
}

function labelSet(text: string): [string, ReadonlySet<string> | undefined] {
  const [, label, set] = /^\s*`(\w+)`: (.*)$/.exec(text) ?? [];
  if (label === undefined || set === undefined) throw new Error(`not a label: ${text}`);
  if (set.includes('[packet drop reasons]')) return [label, new Set(PACKET_DROP_REASONS)];
  if (set.includes('[drop reasons]')) return [label, new Set(DROP_REASON_NAMES)];
  if (set.includes('failure code')) return [label, new Set([...Object.keys(FAILURE_CODES), ...(set.includes('`ok`') ? ['ok'] : [])])];
  const words = [...set.matchAll(/`([^`]+)`/g)].map(([, word]) => word!);
  return [label, words.length > 0 ? new Set(words) : undefined];
}
