// What one connection may ask for: the defaults of the design, each driven past its bound.

import {
  ConnectionLimits, ConnectionRateTable, DATAGRAM_ALLOWED, DROP_REASONS, FAILURE_CODES, RATE_DROP_REASONS, TokenBucket, type DatagramVerdict,
} from '@ztna/protocol';
import t from 'tap';

const rates = new ConnectionRateTable();

t.test('registrations: 10 at once, then 5 a second', async (t) => {
  const { registrations } = new ConnectionLimits(rates, 0);
  t.equal(count(registrations, 0), 10);
  t.equal(count(registrations, 1000), 5);
});

t.test('session opens: 100 at once, then 50 a second, over all connections that share the bucket', async (t) => {
  t.equal(count(new ConnectionLimits(rates, 0).opens, 0), 100);
  const shared = new TokenBucket(rates.opens, 0);
  const [a, b] = [new ConnectionLimits(rates, 0, shared), new ConnectionLimits(rates, 0, shared)];
  for (let open = 0; open < 50; open++) t.ok(a.opens.take(0) && b.opens.take(0));
  t.notOk(a.opens.take(0));
  t.notOk(b.opens.take(0));
  t.equal(count(b.opens, 1000), 50);
});

t.test('control messages: 100 a second, and how long to leave them unread', async (t) => {
  const { controlMessages } = new ConnectionLimits(rates, 0);
  t.equal(count(controlMessages, 0), 200);
  t.equal(controlMessages.untilAvailable(0), 10);
  t.equal(count(controlMessages, 1000), 100);
});

t.test('datagrams: 200 000 a second with 50 ms of burst', async (t) => {
  const limits = new ConnectionLimits(rates, 0);
  t.same(flood(limits, 0, 20_000, 40), { 0: 10_000, 1: 10_000, 2: 0 });
  let allowed = 0;
  for (let ms = 1; ms <= 1000; ms++) allowed += flood(limits, ms, 500, 40)[0];
  t.equal(allowed, 200_000);
});

t.test('bytes: 250 MB a second with 50 ms of burst', async (t) => {
  const limits = new ConnectionLimits(rates, 0);
  t.same(flood(limits, 0, 10_000, 1300), { 0: Math.floor(12_500_000 / 1300), 1: 0, 2: 10_000 - Math.floor(12_500_000 / 1300) });
  let allowed = 0;
  for (let ms = 1; ms <= 1000; ms++) allowed += flood(limits, ms, 200, 1300)[0];
  t.ok(Math.abs(allowed * 1300 - 250_000_000) <= 1300, `${allowed * 1300} bytes`);
});

t.test('one flooding connection leaves another alone', async (t) => {
  const [flooder, other] = [new ConnectionLimits(rates, 0), new ConnectionLimits(rates, 0)];
  flood(flooder, 0, 50_000, 1300);
  t.equal(other.checkDatagram(0, 1300), DATAGRAM_ALLOWED);
});

t.test('refusals carry names from the closed sets', async (t) => {
  t.strictSame(RATE_DROP_REASONS, [undefined, 'datagram_rate', 'byte_rate']);
  for (const reason of RATE_DROP_REASONS.slice(1)) t.ok(reason! in DROP_REASONS);
  t.equal(FAILURE_CODES.rate_limited.number, 0x0f);
});

function count(bucket: TokenBucket, now: number): number {
  let granted = 0;
  for (let attempt = 0; attempt < 1000; attempt++) if (bucket.take(now)) granted++;
  return granted;
}

function flood(limits: ConnectionLimits, now: number, datagrams: number, bytes: number): Record<DatagramVerdict, number> {
  const seen = { 0: 0, 1: 0, 2: 0 };
  for (let sent = 0; sent < datagrams; sent++) seen[limits.checkDatagram(now, bytes)]++;
  return seen;
}
