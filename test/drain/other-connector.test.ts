// The next relay has another connector of the service: the flows cannot go there, so they stay on the
// draining relay for as long as it serves them, and new ones go to the other connector.

import t from 'tap';
import { Lab } from '../harness/lab.js';
import { exchange, openTcp, startEchoBackend, startTaggedBackend } from '../harness/tcp.js';
import { drain, DRAIN_TIMEOUT_MS, echo } from './two-relays.js';

t.test('flows stay where they are when another connector answers at the next relay', async (t) => {
  const lab = Lab.create(t);
  lab.enrol('agent', 'alice');
  for (const name of ['con-a', 'con-b']) lab.enrol('connector', name, ['shared']);
  const policy = [{ allow: ['alice'], services: ['shared'] }];
  const first = await lab.startRelay(policy, { extra: { drainTimeout: `${DRAIN_TIMEOUT_MS / 1000}s` } });
  const relays = [{ name: 'relay-1', address: `127.0.0.1:${lab.relayPort}` }];
  await lab.startRelay(policy, { name: 'relay-2' });
  relays.push({ name: 'relay-2', address: `127.0.0.1:${lab.relayPort}` });
  await lab.startConnector('con-a', { shared: { backend: (await startEchoBackend(t)).address } }, { relays: relays.slice(0, 1) });
  await lab.startConnector('con-b', { shared: { backend: (await startTaggedBackend(t, 'b')).address } }, { relays: relays.slice(1) });
  const agent = await lab.startAgent('alice', [{ service: 'shared' }], { relays });
  const port = agent.port('shared');

  const flow = await openTcp(t, port);
  t.equal(await echo(flow, 'before'), 'before');
  const drained = drain(first);
  await agent.process.waitFor('flows_stay', { service: 'shared' });
  t.equal((await exchange(t, port, 'who?')).received.toString(), 'b', 'new flows go to the other connector');
  t.equal(await echo(flow, 'meanwhile'), 'meanwhile', 'the old one goes on');
  t.equal(first.hasExited, false, 'the relay waits for it');
  flow.end();
  const { exit, tookMs } = await drained;
  t.equal(exit, 0);
  t.ok(tookMs < DRAIN_TIMEOUT_MS / 2, 'and is gone with it');
  t.equal((await exchange(t, port, 'who?')).received.toString(), 'b');
});
