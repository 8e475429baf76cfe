// SIGTERM to the only relay there is, which then starts again where it was.

import t from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { exchange, startTaggedBackend } from '../harness/tcp.js';

const PROMPT_MS = 10_000;

t.test('an idle session does not keep a relay that drains, and a flow that begins meanwhile waits for its next life', async (t) => {
  const backend = await startTaggedBackend(t, 'a');
  const { lab, relay, agent, connector } = await startOverlay(t, { web: { backend: backend.address } });
  t.equal((await exchange(t, agent.port('web'), 'who?')).received.toString(), 'a');
  const port = lab.relayPort;
  const started = performance.now();
  relay.child.kill('SIGTERM');
  await agent.process.waitFor('draining');
  const web = agent.port('web');
  const during = exchange(t, web, 'who?');
  t.equal(await relay.exited, 0);
  t.ok(performance.now() - started < PROMPT_MS, `gone after ${Math.round(performance.now() - started)} ms, before its 30 s are over`);
  agent.process.forgetEvents();
  connector.forgetEvents();
  await lab.startRelay([{ allow: ['alice'], services: ['web'] }], { port });
  t.equal((await during).received.toString(), 'a', 'the flow that waited');
  t.equal((await exchange(t, web, 'who?')).received.toString(), 'a', 'and flows after it');
  await Promise.all([agent.process.waitFor('registered'), connector.waitFor('registered')]);
});
