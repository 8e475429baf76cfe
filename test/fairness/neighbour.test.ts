// One agent floods a connector that it shares: its neighbour must hardly notice.

import t from 'tap';
import { eventually } from '../quic/eventually.js';
import { settledDatagrams } from '../harness/relay-here.js';
import { startSharedConnector } from './shared-connector.js';

/**
 * A busy machine's timers, and the link's own buffer, which the congestion control of one connection fills for all on
 * it. Measured 30 to 220; one queue of 4096, first in, first out, makes it 2000 and more.
 */
const SLACK_MS = 1000;

for (const sessions of [1, 100]) {
  t.test(`a flood over ${sessions} session${sessions === 1 ? '' : 's'} costs the neighbour no datagram and little time`, async (t) => {
    const shared = await startSharedConnector(t);
    const { server } = shared;
    const quiet = await shared.measure(1000);
    const flood = await shared.flood(sessions);
    const before = shared.floodDelivered();
    const flooded = await shared.measure(3000);
    flood.stop();
    t.comment(JSON.stringify({ quiet, flooded }));
    t.ok(flooded.asked - flooded.answered <= shared.socket.lost, `${flooded.asked - flooded.answered} lost, ${shared.socket.lost} by the link`);
    t.ok(flooded.answered > flooded.asked * 0.9, `${flooded.answered} of ${flooded.asked} answered`);
    t.ok(flooded.p99 <= quiet.p99 + SLACK_MS, `p99 ${flooded.p99} ms, ${quiet.p99} ms without the flood`);
    t.ok(shared.floodDelivered() - before > 1000, 'the flood was there');
    await eventually(() => server.forwarder.waiting === 0);
    const { received, dropped } = server.machine.counters.totals();
    t.ok(dropped.queue_delay + dropped.peer_queue_full > 1000, 'and was held back here');
    t.equal(settledDatagrams(server), received, 'every datagram is accounted for');
  });
}
