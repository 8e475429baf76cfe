// Two connectors of one service, one of which goes away: by kill -9, and in good order.

import t from 'tap';
import { Lab } from '../harness/lab.js';
import { exchange, startTaggedBackend } from '../harness/tcp.js';

/** A connector that says nothing is given up when its connection idles out at the relay, after 30 s. */
const TAKEOVER_LIMIT_MS = 45_000;
/** One that takes its leave is replaced by the next flow: a session and a handshake. */
const ORDERLY_LIMIT_MS = 5_000;

const lab = Lab.create(t);
for (const name of ['alice', 'bob']) lab.enrol('agent', name);
for (const twin of ['twin-a', 'twin-b']) lab.enrol('connector', twin, ['shared']);
const relay = await lab.startRelay([{ allow: ['alice', 'bob'], services: ['shared'] }]);
const services = { shared: { backend: (await startTaggedBackend(t, 'a')).address } };
const others = { shared: { backend: (await startTaggedBackend(t, 'b')).address } };
const first = await lab.startConnector('twin-a', services);
const second = await lab.startConnector('twin-b', others);
const alice = await lab.startAgent('alice', [{ service: 'shared' }]);
const bob = await lab.startAgent('bob', [{ service: 'shared' }]);

t.test('new flows go to the survivor of a killed connector', async (t) => {
  t.equal((await exchange(t, alice.port('shared'), 'who?')).received.toString(), 'a');
  t.equal((await exchange(t, bob.port('shared'), 'who?')).received.toString(), 'b');
  await first.kill();
  const killed = performance.now();
  const undisturbed = await exchange(t, bob.port('shared'), 'who?');
  t.equal(undisturbed.received.toString(), 'b', 'the session of the other agent is not touched');
  const endings = new Set<string>();
  let reply = '';
  // Flows that went to the dead connector end with a reset once the relay knows; a program tries again.
  while (reply !== 'b' && performance.now() - killed < TAKEOVER_LIMIT_MS) {
    const { received, ending } = await exchange(t, alice.port('shared'), 'who?');
    reply = received.toString();
    endings.add(ending);
  }
  t.comment(`taken over ${Math.round(performance.now() - killed)} ms after kill -9`);
  t.equal(reply, 'b');
  t.same([...endings].filter((ending) => ending !== 'end' && ending !== 'ECONNRESET'), [], 'a flow that failed was reset, not ended as if complete');
  // The agent did not wait for it, but the relay notices by itself too.
  await relay.waitFor('client_disconnected', { identity: 'spiffe://example.test/connector/twin-a' });
});

t.test('a connector that comes back serves again, and one that leaves in good order is replaced at once', async (t) => {
  const back = await lab.startConnector('twin-a', services);
  await second.stop();
  const left = performance.now();
  t.equal((await exchange(t, alice.port('shared'), 'who?')).received.toString(), 'a');
  const took = performance.now() - left;
  t.comment(`replaced ${Math.round(took)} ms after SIGTERM`);
  t.ok(took < ORDERLY_LIMIT_MS);
  t.equal(back.hasExited, false);
});
