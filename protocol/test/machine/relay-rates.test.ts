// What a client may ask of the relay in a second: past each bucket the code or the drop reason, and
// everybody else unaffected.

import t from 'tap';
import { ConnectionRateTable, DATAGRAM_DROPPED, DEFAULT_CONNECTION_RATES, type ConnectionRates } from '@ztna/protocol';
import { datagram, messages, RelayFixture } from './relay-fixture.js';

const joined = (rates: Partial<ConnectionRates>): RelayFixture => {
  const relay = new RelayFixture({ rates });
  relay.joinAgent(1, 'alice');
  relay.joinAgent(3, 'bob');
  relay.joinConnector(2, 'c1', ['web', 'ssh']);
  return relay;
};

t.test('registrations past their rate are refused unread with rate_limited, and do not count towards the close', (t) => {
  const relay = joined({ registrations: { perSecond: 5, burst: 10 } });
  for (let n = 1; n < 10; n++) t.match(messages(relay.register(1, { services: [] }), 1), [{ type: 'registerAck' }]);
  relay.verified.length = 0;
  for (let n = 0; n < 50; n++) t.match(messages(relay.register(1, { services: [] }), 1), [{ type: 'registerNack', code: 'rate_limited' }]);
  t.equal(relay.verified.length, 0, 'no signature was checked');
  t.match(messages(relay.register(3, { services: [] }), 3), [{ type: 'registerAck' }], 'another client is none the wiser');
  relay.now += 200;
  t.match(messages(relay.register(1, { services: [] }), 1), [{ type: 'registerAck' }], 'a fifth of a second later one more');
  t.end();
});

t.test('opens past their rate fail with rate_limited, over all connections of the identity', (t) => {
  const relay = joined({ opens: { perSecond: 50, burst: 100 } });
  relay.joinAgent(4, 'alice');
  for (let n = 0; n < 100; n++) t.match(messages(relay.open(n % 2 === 0 ? 1 : 4, 'db'), n % 2 === 0 ? 1 : 4), [{ type: 'openFailed', code: 'policy_denied' }]);
  for (const conn of [1, 4]) t.match(messages(relay.open(conn, 'web'), conn), [{ type: 'openFailed', code: 'rate_limited' }]);
  t.ok(relay.session(3, 'web'), 'another agent opens as ever');
  relay.now += 20;
  t.ok(relay.session(1, 'web'), '20 ms later there is one more');
  t.match(messages(relay.open(4, 'web'), 4), [{ type: 'openFailed', code: 'rate_limited' }]);
  t.end();
});

t.test('leaving and coming back brings no opens, and the identity is forgotten once it is owed none', (t) => {
  const relay = joined({ opens: { perSecond: 50, burst: 100 } });
  for (let n = 0; n < 100; n++) relay.open(1, 'db');
  relay.disconnect(1);
  t.equal(relay.machine.stats().identities, 2, 'who left is not counted as connected');
  relay.joinAgent(1, 'alice');
  t.match(messages(relay.open(1, 'web'), 1), [{ type: 'openFailed', code: 'rate_limited' }]);
  relay.disconnect(1);
  relay.now += 2_000;
  relay.joinAgent(1, 'alice');
  t.equal(relay.machine.stats().identities, 3);
  t.ok(relay.session(1, 'web'));
  t.end();
});

t.test('control messages past their rate are not admitted, on that connection alone', (t) => {
  const relay = joined({ controlMessages: { perSecond: 100, burst: 200 } });
  const admitted = (conn: number): boolean => relay.machine.admitControl(conn, relay.now);
  for (let n = 0; n < 200; n++) t.ok(admitted(1));
  t.notOk(admitted(1));
  t.ok(admitted(3));
  relay.now += 10;
  t.ok(admitted(1));
  t.notOk(admitted(1));
  t.ok(admitted(99), 'nobody to hold to a rate');
  t.end();
});

t.test('datagrams past their rate are dropped as datagram_rate, whatever is in them', (t) => {
  const relay = joined({ datagrams: { perSecond: 1000, burst: 50 } });
  const { agentEnd } = relay.session(1, 'web');
  const neighbour = relay.session(3, 'web').agentEnd;
  const to = (conn: number, bytes: Uint8Array): number => relay.machine.handleDatagram(conn, bytes, bytes.length, relay.now);
  const junk = new Uint8Array(7);
  for (let n = 0; n < 25; n++) t.same([to(1, datagram(agentEnd)), to(1, junk)], [2, DATAGRAM_DROPPED]);
  for (let n = 0; n < 10; n++) t.same([to(1, datagram(agentEnd)), to(1, junk)], [DATAGRAM_DROPPED, DATAGRAM_DROPPED]);
  t.match(relay.machine.counters.totals(), { received: 70, dropped: { datagram_rate: 20, header_too_short: 25 } });
  t.equal(to(3, datagram(neighbour)), 2);
  relay.now += 1;
  t.same([to(1, datagram(agentEnd)), to(1, datagram(agentEnd))], [2, DATAGRAM_DROPPED]);
  t.end();
});

t.test('bytes past their rate are dropped as byte_rate', (t) => {
  const relay = joined({ bytes: { perSecond: 1_000_000, burst: 5000 } });
  const { agentEnd } = relay.session(1, 'web');
  const send = (bytes: Uint8Array): number => relay.machine.handleDatagram(1, bytes, bytes.length, relay.now);
  const full = (): Uint8Array => datagram(agentEnd, 0, new Array<number>(984).fill(0));
  for (let n = 0; n < 5; n++) t.equal(send(full()), 2);
  t.equal(send(full()), DATAGRAM_DROPPED);
  relay.now += 1;
  t.equal(send(full()), 2);
  t.match(relay.machine.counters.totals(), { received: 7, dropped: { byte_rate: 1, datagram_rate: 0 } });
  t.end();
});

t.test('new rates hold for who is connected, refill nothing, and hold for who comes', (t) => {
  const relay = joined({ datagrams: { perSecond: 1000, burst: 50 }, opens: { perSecond: 1, burst: 1 } });
  const { agentEnd } = relay.session(1, 'web');
  const send = (): number => relay.machine.handleDatagram(1, datagram(agentEnd), 19, relay.now);
  for (let n = 0; n < 50; n++) t.equal(send(), 2);
  relay.machine.setRates(new ConnectionRateTable({ ...DEFAULT_CONNECTION_RATES, datagrams: { perSecond: 3000, burst: 3 }, opens: { perSecond: 1000, burst: 2 } }), relay.now);
  t.equal(send(), DATAGRAM_DROPPED, 'nothing was refilled');
  relay.now += 1;
  t.same([send(), send(), send(), send()], [2, 2, 2, DATAGRAM_DROPPED], 'three a millisecond now');
  relay.now += 1000;
  t.same([send(), send(), send(), send()], [2, 2, 2, DATAGRAM_DROPPED], 'and three at most');
  t.ok(relay.session(1, 'web'));
  relay.joinAgent(5, 'alice');
  t.ok(relay.session(5, 'web'));
  t.match(messages(relay.open(5, 'web'), 5), [{ type: 'openFailed', code: 'rate_limited' }]);
  t.end();
});

t.test('while the queues are strained opens fail with too_many_sessions, and sessions that exist go on', (t) => {
  const relay = joined({});
  const { agentEnd } = relay.session(1, 'web');
  relay.isStrained = true;
  t.match(messages(relay.open(1, 'web'), 1), [{ type: 'openFailed', code: 'too_many_sessions' }]);
  t.equal(relay.machine.handleDatagram(1, datagram(agentEnd), 19, relay.now), 2);
  relay.isStrained = false;
  t.ok(relay.session(1, 'web'));
  t.end();
});
