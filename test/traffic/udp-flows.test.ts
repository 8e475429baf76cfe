// UDP flows through the overlay: every reply to its own client, every size, both address families.

import t from 'tap';
import { countEvents, startOverlay } from '../harness/overlay.js';
import { patternBytes } from '../harness/pattern.js';
import { startUdpBackend, UdpClient } from '../harness/udp.js';

const CLIENTS = 200;
const ROUNDS = 3;

const echo = await startUdpBackend(t);
const echo6 = await startUdpBackend(t, { host: '::1' });
const { agent, connector } = await startOverlay(
  t,
  {
    echo: { protocol: 'udp', backend: echo.address },
    echo6: { protocol: 'udp', backend: echo6.address },
    wrong: { protocol: 'udp', backend: '127.0.0.1:9' },
  },
  { echo6: '[::1]:0' },
);
const port = agent.port('echo');

t.test('replies to two clients at once come back to the right one', async (t) => {
  const [one, two] = [await UdpClient.open(t, port), await UdpClient.open(t, port)];
  for (let round = 0; round < 20; round++) {
    const replies = await Promise.all([one.ask(Buffer.from(`one ${round}`)), two.ask(Buffer.from(`two ${round}`))]);
    if (replies.join() !== `one ${round},two ${round}`) t.fail(`round ${round}: ${replies.join()}`);
  }
  t.ok(one.received.every((payload) => payload.toString().startsWith('one')), 'the first heard only itself');
  t.ok(two.received.every((payload) => payload.toString().startsWith('two')), 'the second heard only itself');
  t.equal(echo.sources.size, 2, 'each client is a flow of its own to the backend');
});

for (const bytes of [0, 1, 1200, 1201, 1472, 9000, 60_000]) {
  t.test(`a datagram of ${bytes} bytes goes there and back whole`, async (t) => {
    const client = await UdpClient.open(t, port);
    const payload = patternBytes(bytes, bytes);
    const reply = await client.ask(payload);
    t.ok(reply?.equals(payload), `${reply?.length ?? 'no'} bytes came back`);
  });
}

t.test(`${CLIENTS} clients at once each hear their own replies and no others`, async (t) => {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => UdpClient.open(t, port)));
  for (let round = 0; round < ROUNDS; round++) {
    const payloads = clients.map((_, i) => Buffer.concat([Buffer.from(`${i}:${round}:`), patternBytes(i, 100 + i)]));
    const replies = await Promise.all(clients.map((client, i) => client.ask(payloads[i]!)));
    t.equal(replies.filter((reply, i) => !reply?.equals(payloads[i]!)).length, 0, `round ${round}: nobody without a reply`);
  }
  const strangers = clients.filter((client, i) => client.received.some((payload) => !payload.toString('latin1').startsWith(`${i}:`)));
  t.equal(strangers.length, 0, 'no reply went astray');
});

t.test('an IPv6 client and an IPv6 backend', async (t) => {
  const client = await UdpClient.open(t, agent.port('echo6'), '::1');
  t.equal((await client.ask(Buffer.from('six')))?.toString(), 'six');
});

t.test('a datagram from anyone but the backend does not reach the client', async (t) => {
  const client = await UdpClient.open(t, port);
  await client.ask(Buffer.from('open a flow'));
  const flowPort = [...echo.sources].at(-1)!;
  const stranger = await UdpClient.open(t, flowPort);
  stranger.send(Buffer.from('forged'));
  await client.ask(Buffer.from('after it'));
  t.notOk(client.received.some((payload) => payload.toString() === 'forged'));
});

t.test('a UDP backend that is not there harms no other flow', async (t) => {
  const client = await UdpClient.open(t, agent.port('wrong'));
  client.send(Buffer.from('anybody?'));
  await connector.waitFor('backend_error', { reason: 'ECONNREFUSED' });
  const other = await UdpClient.open(t, port);
  t.equal((await other.ask(Buffer.from('still here')))?.toString(), 'still here');
  t.equal(countEvents(agent.process, 'flow_refused'), 0);
});
