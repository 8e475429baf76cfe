// SIGTERM while flows are open: everyone leaves in good order, promptly, with exit code 0.

import { once } from 'node:events';
import type { Socket } from 'node:net';
import t, { type Test } from 'tap';
import { AGENT, CONNECTOR, startOverlay, type Overlay } from '../harness/overlay.js';
import { closed, openTcp, outcome, startEchoBackend, type TcpBackend } from '../harness/tcp.js';

/** Goodbyes take a few packets; nothing here waits for a timeout. */
const PROMPT_MS = 3_000;

t.test('an agent that stops ends its flows on both sides', async (t) => {
  const { overlay, backend, client } = await withOpenFlow(t);
  const ended = outcome(client);
  await stopPromptly(t, 'agent', overlay.agent.process);
  await closed(backend.accepted[0]!);
  t.equal((await ended).ending, 'ECONNRESET', 'the client does not take it for the end of its data');
  await overlay.relay.waitFor('client_disconnected', { identity: `spiffe://example.test/agent/${AGENT}` });
});

t.test('a connector that stops ends its flows on both sides', async (t) => {
  const { overlay, backend, client } = await withOpenFlow(t);
  const ended = outcome(client);
  await stopPromptly(t, 'connector', overlay.connector);
  await closed(backend.accepted[0]!);
  t.equal((await ended).ending, 'ECONNRESET', 'the client does not take it for the end of its data');
  await overlay.relay.waitFor('client_disconnected', { identity: `spiffe://example.test/connector/${CONNECTOR}` });
});

t.test('a relay that stops tells its clients, and leaves once their sessions are over', async (t) => {
  const { overlay, client } = await withOpenFlow(t);
  const { relay, agent, connector } = overlay;
  relay.child.kill('SIGTERM');
  await Promise.all([agent.process.waitFor('draining'), connector.waitFor('draining')]);
  const [echoed] = (await Promise.all([once(client, 'data'), Promise.resolve(client.write('still open'))]))[0] as [Buffer];
  t.equal(echoed.toString(), 'still open', 'an open flow goes on meanwhile');
  // The session ends with its agent.
  await agent.process.stop();
  const started = performance.now();
  t.equal(await relay.exited, 0);
  t.ok(performance.now() - started < PROMPT_MS, 'with the last session the relay is gone');
  await connector.waitFor('disconnected', { code: 'draining' });
});

t.test('a relay that stops waits for open sessions no longer than it says', async (t) => {
  const { overlay, client } = await withOpenFlow(t, { drainTimeout: '1s' });
  const ended = outcome(client);
  const { relay, agent } = overlay;
  relay.child.kill('SIGTERM');
  t.match(await agent.process.waitFor('draining'), { deadlineMs: 1000 });
  t.equal(await relay.exited, 0);
  t.equal((await ended).ending, 'ECONNRESET');
});

interface OpenFlow {
  readonly overlay: Overlay;
  readonly backend: TcpBackend;
  readonly client: Socket;
}

/** An overlay with one flow that has carried bytes both ways and stays open. */
async function withOpenFlow(t: Test, relayExtra: object = {}): Promise<OpenFlow> {
  const backend = await startEchoBackend(t);
  const overlay = await startOverlay(t, { echo: { backend: backend.address } }, {}, relayExtra);
  const client = await openTcp(t, overlay.agent.port('echo'));
  const echoed = once(client, 'data');
  client.write('open');
  await echoed;
  return { overlay, backend, client };
}

async function stopPromptly(t: Test, name: string, process: Overlay['relay']): Promise<void> {
  const started = performance.now();
  t.equal(await process.stop(), 0, `the ${name} exits with 0`);
  t.ok(performance.now() - started < PROMPT_MS, `the ${name} is gone in ${Math.round(performance.now() - started)} ms`);
}
