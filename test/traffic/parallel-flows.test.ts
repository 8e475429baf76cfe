// 200 flows at once through one listener, and full duplex on one: every flow gets its own bytes back,
// all of them and no others.

import t from 'tap';
import { allFlowsClosed, startOverlay } from '../harness/overlay.js';
import { patternBytes } from '../harness/pattern.js';
import { exchange, openTcp, outcome, startEchoBackend } from '../harness/tcp.js';

const FLOWS = 200;
const FLOW_BYTES = 128 * 1024;
const DUPLEX_BYTES = 32 * 1024 * 1024;

const echo = await startEchoBackend(t);
const { agent, connector } = await startOverlay(t, { echo: { backend: echo.address } });
const port = agent.port('echo');

t.test(`${FLOWS} flows at once each get their own bytes back`, async (t) => {
  // All are open before the first one sends.
  const sockets = await Promise.all(Array.from({ length: FLOWS }, () => openTcp(t, port)));
  const outcomes = await Promise.all(
    sockets.map((socket, seed) => {
      const over = outcome(socket);
      socket.end(patternBytes(seed, FLOW_BYTES));
      return over;
    }),
  );
  const wrong = outcomes.filter(({ received, ending }, seed) => ending !== 'end' || !received.equals(patternBytes(seed, FLOW_BYTES)));
  t.same(wrong.map(({ received, ending }) => ({ bytes: received.length, ending })), [], 'no flow lost, gained or mixed bytes');
  await allFlowsClosed(connector);
});

t.test('bytes cross both ways at once on one flow', async (t) => {
  const bytes = patternBytes(1000, DUPLEX_BYTES);
  const started = performance.now();
  const { received, ending } = await exchange(t, port, bytes);
  t.comment(`${Math.round((DUPLEX_BYTES / 2 ** 20 / (performance.now() - started)) * 1000)} MiB/s each way at once`);
  t.equal(ending, 'end');
  t.ok(received.equals(bytes), `${received.length} bytes came back`);
});
