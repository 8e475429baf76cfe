// docs/metrics.md against the code: what a process shows at a scrape, by the registry it really uses, is what the
// tables say, word for word, and every label value is of its closed set.

import { readFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { agentMetrics, type Agent } from '@ztna/agent';
import { connectorMetrics, ConnectorStats, type Connector } from '@ztna/app-connector';
import { createAuthority, issueCertificate } from '@ztna/certs';
import { ControlPauses, relayMetrics, RelayOutcomes, WorkerPool } from '@ztna/intermediate-server';
import {
  createLogger,
  createRelayLimitsReached,
  DatagramCounters,
  DEFAULT_SOURCE_LIMITS,
  FlowLedger,
  HealthService,
  LinkOutcomes,
  loadTlsMaterial,
  PACKET_DROP_REASONS,
  QueueBudget,
  READINESS_CHECKS,
  SourceLimiter,
  type LabelSet,
  type MetricFamily,
  type PacketDropReason,
} from '@ztna/protocol';
import { parseScrape, type ScrapedFamily } from '../harness/scrape.js';
import { requireTool, runTool } from '../harness/tools.js';

const page = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
const SERVICES = ['web', 'dns'];

interface Scrape {
  readonly families: readonly MetricFamily[];
  readonly scraped: readonly ScrapedFamily[];
  readonly text: string;
}

void t.test('the tables name exactly what the processes show: name, type, labels, meaning', async (t) => {
  const relay = await scrape(t, 'intermediate-server', relayFamilies());
  const connector = await scrape(t, 'app-connector', connectorFamilies());
  const agent = await scrape(t, 'ztna-agent', agentFamilies());
  const shared = relay.families.filter(({ name }) => !name.startsWith('ztna_relay_'));
  for (const other of [connector, agent]) t.strictSame(rowsOf(other.families.slice(0, shared.length)), rowsOf(shared), 'what every process shows is the same');
  t.strictSame(tableRows('Every process'), rowsOf(shared));
  t.strictSame(tableRows('Relay'), rowsOf(relay.families.slice(shared.length)));
  t.strictSame(tableRows('Relay with workers'), rowsOf(new WorkerPool([], { config: '', log: createLogger({ name: 'test', level: 'silent' }) }).families));
  t.strictSame(tableRows('Connector'), rowsOf(connector.families.slice(shared.length)));
  t.strictSame(tableRows('Agent'), rowsOf(agent.families.slice(shared.length)));
});

for (const [program, families] of [['intermediate-server', relayFamilies], ['app-connector', connectorFamilies], ['ztna-agent', agentFamilies]] as const)
  void t.test(`a scrape of ${program} shows the families it should, and only label values of their sets`, async (t) => {
    const { families: described, scraped } = await scrape(t, program, families());
    t.strictSame(scraped.map(({ name, type, help }) => [name, type, help]), described.map(({ name, type, help }) => [name, type, help]));
    for (const [index, { name, samples }] of scraped.entries()) {
      const sets = described[index]!.labels ?? {};
      for (const { labels } of samples)
        for (const [label, value] of Object.entries(labels)) {
          if (label === 'le' && described[index]!.type === 'histogram') continue;
          t.ok(sets[label]?.values.includes(value), `${name}{${label}="${value}"}`);
        }
      for (const { value } of samples) t.ok(Number.isFinite(value), name);
    }
  });

void t.test("promtool finds nothing wrong with the processes' scrapes", async (t) => {
  const promtool = requireTool(t, 'promtool');
  if (promtool === undefined) return;
  for (const [program, families] of [['intermediate-server', relayFamilies], ['app-connector', connectorFamilies], ['ztna-agent', agentFamilies]] as const) {
    const { text } = await scrape(t, program, families());
    const { exit, stdout, stderr } = await runTool(promtool, ['check', 'metrics'], { input: Buffer.from(text) });
    t.equal(exit, 0, `${program}: ${stdout.toString()}${stderr}`);
  }
});

void t.test('names follow the rules: counters end in _total, others do not, units are base units', async (t) => {
  for (const { name, type } of [...relayFamilies(), ...connectorFamilies(), ...agentFamilies()]) {
    t.match(name, /^ztna_[a-z0-9_]+$/);
    t.equal(name.endsWith('_total'), type === 'counter', name);
    t.notMatch(name, /milli|_ms\b|kilo/, name);
  }
});

void t.test('no label is for what a peer chooses', async (t) => {
  const labels = new Set([...relayFamilies(), ...connectorFamilies(), ...agentFamilies()].flatMap(({ labels = {} }) => Object.keys(labels)));
  t.strictSame([...labels].sort(), ['by', 'code', 'direction', 'limit', 'protocol', 'reason', 'result', 'service']);
  for (const { name, labels } of relayFamilies()) t.notOk(labels && 'service' in labels, `${name}: at the relay names of services come from clients`);
});

void t.test('the table of readiness names every check, with its meaning', async (t) => {
  const rows = tableRows('Readiness').map((row) => row.split(' | ')).map(([check, , meaning]) => [check, meaning]);
  t.strictSame(rows, Object.entries(READINESS_CHECKS).map(([check, meaning]) => [`| \`${check}\``, `${meaning} |`]));
});

function relayFamilies(): readonly MetricFamily[] {
  const packetDrops = Object.fromEntries(PACKET_DROP_REASONS.map((reason) => [reason, 0])) as Record<PacketDropReason, number>;
  const stats = () => ({ connections: 0, identities: 0, registeredConnectors: 0, services: 0, sessions: 0, pendingSessions: 0, sessionEnds: 0 });
  return relayMetrics({
    server: {
      machine: { counters: new DatagramCounters(), stats, limitsReached: createRelayLimitsReached() },
      packetDrops,
      handshakes: { timedOut: 0, timedOutPressed: 0 },
      admission: { sourcesTracked: 0, overflowConnections: 0, limitsReached: new SourceLimiter(DEFAULT_SOURCE_LIMITS, 0).limitsReached },
      forwarder: { waitingBytes: 0, limitsReached: new QueueBudget().limitsReached },
      pauses: new ControlPauses(),
      clientLimits: { idleTimeout: 0, unproductiveBytes: 0 },
      promptsPutOff: 0,
      resets: undefined,
      outcomes: new RelayOutcomes(),
      authorities: { revocations: { size: 0 } },
    },
    reload: { applied: 0, refused: 0, outdated: false, ageSeconds: 0 },
  });
}

function linkOf(): never {
  return { machine: { registered: true, rttMs: 12, sessionCount: 0, drainDeadline: undefined }, outcomes: new LinkOutcomes() } as never;
}

function connectorFamilies(): readonly MetricFamily[] {
  const connector: Pick<Connector, 'link' | 'stats' | 'innerConnections'> = { link: linkOf(), stats: new ConnectorStats(SERVICES), innerConnections: 0 };
  return connectorMetrics(connector, { services: SERVICES, isUp: () => true });
}

function agentFamilies(): readonly MetricFamily[] {
  const agent: Pick<Agent, 'link' | 'flows'> = { link: linkOf(), flows: new FlowLedger(SERVICES) };
  return agentMetrics(agent);
}

async function scrape(t: Test, program: string, families: readonly MetricFamily[]): Promise<Scrape> {
  const authority = createAuthority({ trustDomain: 'example.test' });
  const { certificatePem, keyPem } = issueCertificate(authority, { role: 'relay', name: 'relay-1' });
  const directory = t.testdir({ 'ca.crt': authority.certificatePem, 'relay.crt': certificatePem });
  writeFileSync(`${directory}/relay.key`, keyPem, { mode: 0o600 });
  const service = await HealthService.start({
    program,
    settings: { listen: { host: '127.0.0.1', port: 0 }, metrics: true, tls: false, clients: new Set(), token: undefined },
    tls: loadTlsMaterial({ ca: `${directory}/ca.crt`, certificate: `${directory}/relay.crt`, key: `${directory}/relay.key` }, { role: 'relay' }),
    families,
    readiness: () => [],
    log: createLogger({ name: program, level: 'silent' }),
  });
  t.teardown(() => service.stop());
  const answer = await fetch(`http://127.0.0.1:${service.local.port}/metrics`);
  t.match(answer.headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  return { families: service.families, scraped: parseScrape(text), text };
}

function rowsOf(families: readonly MetricFamily[]): string[] {
  return families.map(({ name, type, labels = {}, help }) => `| \`${name}\` | ${type} | ${Object.entries(labels).map(describeLabel).join('; ')} | ${help} |`);
}

function describeLabel([label, { values, described }]: [string, LabelSet]): string {
  return `\`${label}\`: ${described ?? values.map((value) => `\`${value}\``).join(', ')}`;
}

function tableRows(section: string): string[] {
  const start = page.indexOf(`\n## ${section}\n`);
  const end = page.indexOf('\n## ', start + 1);
  return page.slice(start, end < 0 ? undefined : end).split('\n').filter((line) => line.startsWith('| `'));
}
