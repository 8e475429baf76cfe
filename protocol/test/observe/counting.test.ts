// What is counted where: outcomes by code, times in a histogram, flows with their bytes.

import t from 'tap';
import { FAILURE_CODES, failureFamily, FlowLedger, LatencyHistogram, LinkOutcomes, outcomeFamily, OutcomeCounter, type Labels, type NumberFamily } from '@ztna/protocol';

const valuesOf = (family: NumberFamily): [labels: Labels, value: number][] => {
  const values: [Labels, number][] = [];
  family.read((value, labels = {}) => values.push([labels, value]));
  return values;
};

void t.test('an outcome counter keeps each code apart, and shows ok from the start', async (t) => {
  const counter = new OutcomeCounter();
  const family = outcomeFamily('ztna_x_total', 'x', counter);
  t.strictSame(valuesOf(family), [[{ code: 'ok' }, 0]]);
  counter.count();
  for (const code of Object.keys(FAILURE_CODES) as (keyof typeof FAILURE_CODES)[]) counter.count(code);
  counter.count('draining');
  t.equal(counter.of('ok'), 1);
  t.equal(counter.of('draining'), 2);
  t.equal(valuesOf(family).length, 1 + Object.keys(FAILURE_CODES).length);
  t.equal(valuesOf(failureFamily('ztna_y_total', 'y', counter)).some(([{ code }]) => code === 'ok'), false);
});

void t.test('a histogram counts a time at its bound within it, and none is lost', async (t) => {
  const histogram = new LatencyHistogram([0.1, 1, 10]);
  for (const seconds of [0, 0.1, 0.100001, 1, 5, 10, 11, Infinity]) histogram.observe(seconds === Infinity ? 1000 : seconds);
  t.strictSame(histogram.cumulative(), [2, 4, 6]);
  t.equal(histogram.count, 8);
  t.equal(histogram.sum, 0.1 + 0.100001 + 1 + 5 + 10 + 11 + 1000);
});

void t.test('a time from two clocks that disagree counts as none', async (t) => {
  const histogram = new LatencyHistogram([1]);
  histogram.observe(-5);
  t.equal(histogram.sum, 0);
  t.equal(histogram.count, 1);
});

void t.test('a flow is open with its bytes until it ends, and ends once', async (t) => {
  const ledger = new FlowLedger(['web']);
  const [open, ended, bytes] = ledger.families({ prefix: 'ztna_x', directions: ['out', 'in'], services: 'some' }) as [NumberFamily, NumberFamily, NumberFamily];
  const progress = { bytesSent: 0, bytesReceived: 0 };
  const record = ledger.begin('web', 'tcp');
  record.progress = progress;
  progress.bytesSent = 5;
  progress.bytesReceived = 7;
  t.strictSame(valuesOf(open), [[{ service: 'web' }, 1]]);
  const both = (sent: number, received: number) => [[{ service: 'web', direction: 'out' }, sent], [{ service: 'web', direction: 'in' }, received]];
  t.strictSame(valuesOf(bytes), both(5, 7));
  record.end('flow_reset', { bytesSent: 6, bytesReceived: 7 });
  record.end();
  t.strictSame(valuesOf(open), [[{ service: 'web' }, 0]]);
  t.strictSame(valuesOf(bytes), both(6, 7), 'no byte is counted twice');
  t.strictSame(valuesOf(ended).filter(([, value]) => value > 0), [[{ protocol: 'tcp', code: 'flow_reset' }, 1]]);
});

void t.test('a flow that ended before its progress was known keeps what its end said', async (t) => {
  const ledger = new FlowLedger(['web']);
  const bytes = ledger.families({ prefix: 'ztna_x', directions: ['out', 'in'], services: 'some' })[2] as NumberFamily;
  const record = ledger.begin('web', 'tcp');
  record.end(undefined, { bytesSent: 3, bytesReceived: 4 });
  record.progress = { bytesSent: 3, bytesReceived: 4 };
  t.equal(valuesOf(bytes).reduce((sum, [, value]) => sum + value, 0), 7);
});

void t.test('a service that is not of the configuration makes no series', async (t) => {
  const ledger = new FlowLedger(['web']);
  ledger.begin('somebody-elses', 'udp').end('service_unknown');
  const families = ledger.families({ prefix: 'ztna_x', directions: ['out', 'in'], services: 'some' }) as NumberFamily[];
  const labels = families.flatMap(valuesOf).map(([labels]) => labels);
  t.notOk(JSON.stringify(labels).includes('somebody-elses'));
  t.strictSame(valuesOf(families[1]!).filter(([, value]) => value > 0), [[{ protocol: 'udp', code: 'service_unknown' }, 1]]);
});

void t.test('a link counts registrations and the ends of connections, each once', async (t) => {
  const outcomes = new LinkOutcomes();
  const down = { level: 'warn', relay: 'relay-1', reason: '', retryInMs: 1 } as const;
  outcomes.countEvent({ level: 'info', name: 'registered', relay: 'relay-1', services: [] });
  outcomes.countEvent({ ...down, name: 'refused', code: 'token_expired' });
  outcomes.countEvent({ ...down, name: 'disconnected', code: 'connection_lost' });
  outcomes.countEvent({ ...down, name: 'protocol_violation', code: 'protocol_error' });
  outcomes.countEvent({ level: 'debug', name: 'rtt_measured', relay: 'relay-1', rttMs: 3 });
  t.strictSame([outcomes.registrations.of('ok'), outcomes.registrations.of('token_expired')], [1, 1]);
  t.strictSame([outcomes.disconnects.of('connection_lost'), outcomes.disconnects.of('protocol_error'), outcomes.disconnects.of('token_expired')], [1, 1, 0]);
});
