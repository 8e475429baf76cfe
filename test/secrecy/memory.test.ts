// What somebody on the relay's host finds in its memory during a transfer: neither the plaintext nor the
// secrets of the inner connection. The same search finds both where they have to be, at the two ends.

import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import { Agent } from '@ztna/agent';
import { createLogger, loadTlsMaterial, type QuicStream } from '@ztna/protocol';
import { startEcho } from '../harness/innocent-flow.js';
import { readRegistrationKey } from '../harness/intruder.js';
import { Lab } from '../harness/lab.js';
import { createMarker, mayPeek, repeatMarker } from '../harness/marker.js';
import { findInMemory } from '../harness/memory-scan.js';
import { logClientKeys } from '../harness/native-quic.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const BLOCK_BYTES = 256 * 1024;

t.test("the relay's memory holds no plaintext of a transfer in progress", async (t) => {
  if (!mayPeek(t)) return;
  const { lab, relay, connector } = await startLab(t);
  const alice = await lab.startAgent('alice', [{ service: 'web' }]);
  const marker = createMarker('plaintext');
  const socket = connect(alice.port('web'), '127.0.0.1');
  t.teardown(() => socket.destroy());
  // Everything that comes back is sent again: the transfer goes on for as long as the test looks.
  let echoed = 0;
  const turns = new Promise<void>((resolve) =>
    socket.on('data', (chunk) => {
      echoed += chunk.length;
      socket.write(chunk);
      if (echoed > 8 * BLOCK_BYTES) resolve();
    }),
  );
  socket.write(repeatMarker(marker, BLOCK_BYTES));
  await turns;

  const before = echoed;
  const ownName = Buffer.from('spiffe://example.test/relay/relay-1');
  t.same([...findInMemory(relay.pid, { marker, ownName })], ['ownName'], 'the relay: its own name, so the search works, and no plaintext');
  t.ok(findInMemory(alice.process.pid, { marker }).has('marker'), 'the agent has it');
  t.ok(findInMemory(connector.pid, { marker }).has('marker'), 'the connector has it');
  await new Promise((resolve) => socket.once('data', resolve));
  t.ok(echoed > before, 'the transfer went on all the while');
  checkNoSecretsLogged(t, lab);
});

t.test("the relay's memory holds no secret of the inner connection, by its own key log", async (t) => {
  if (!mayPeek(t)) return;
  const { lab, relay, connector } = await startLab(t);
  const keylog = lab.path('inner.keylog');
  const stopLogging = logClientKeys('web.svc.example.test', keylog);
  const tls = loadTlsMaterial({ ca: lab.path('ca.crt'), certificate: lab.path('alice.crt'), key: lab.path('alice.key') }, { role: 'agent' });
  const agent = new Agent({
    tls,
    registrationKey: readRegistrationKey(lab, 'alice'),
    relays: [{ name: 'relay-1', host: '127.0.0.1', port: lab.relayPort }],
    log: createLogger({ name: 'agent', level: 'silent', format: 'json' }),
    udp: 'auto',
    failFast: true,
  });
  t.teardown(() => agent.stop());
  agent.start();
  const stream = await openFlow(agent);
  stopLogging();
  stream.write(repeatMarker(createMarker('inner'), 1024), false);

  const secrets = readKeylog(keylog);
  const traffic = ['CLIENT_TRAFFIC_SECRET_0', 'SERVER_TRAFFIC_SECRET_0'];
  for (const label of traffic) t.equal(secrets[label]?.length, 32, label);
  t.same([...findInMemory(relay.pid, secrets)], [], `none of ${Object.keys(secrets).join(', ')} is at the relay`);
  const atConnector = findInMemory(connector.pid, secrets);
  for (const label of traffic) t.ok(atConnector.has(label), `the same search finds ${label} at the connector`);
  checkNoSecretsLogged(t, lab);
});

async function startLab(t: Parameters<typeof startEcho>[0]): Promise<{ lab: Lab; relay: Awaited<ReturnType<Lab['startRelay']>>; connector: Awaited<ReturnType<Lab['startConnector']>> }> {
  const lab = Lab.create(t);
  const { port } = await startEcho(t);
  lab.enrol('agent', 'alice');
  lab.enrol('connector', 'con-1', ['web']);
  const relay = await lab.startRelay([{ allow: ['alice'], services: ['web'] }]);
  const connector = await lab.startConnector('con-1', { web: { backend: `127.0.0.1:${port}` } });
  return { lab, relay, connector };
}

/** A flow the connector has accepted: the inner connection stands. */
function openFlow(agent: Agent): Promise<QuicStream> {
  return new Promise((resolve, reject) => {
    agent.openFlow('web', 'tcp', {
      onRefused: (code, reason) => reject(new Error(`${code}: ${reason}`)),
      onOpen: (stream, gate) => {
        const chunk = Buffer.alloc(4096);
        let open = false;
        stream.handler = {
          onWritable: () => undefined,
          onReset: (code) => reject(new Error(code)),
          onReadable: () => {
            for (let count; (count = stream.read(chunk)) > 0; ) {
              if (!open) open = gate(chunk.subarray(0, count)) !== 'wait';
            }
            if (open) resolve(stream);
          },
        };
      },
    });
  });
}

/** NSS key log: `label clientRandom secret`, in hex. */
function readKeylog(path: string): Record<string, Buffer> {
  const lines = readFileSync(path, 'utf8').split('\n').map((line) => line.split(' '));
  return Object.fromEntries(lines.filter((parts) => parts.length === 3).map(([label, , secret]) => [label!, Buffer.from(secret!, 'hex')] as const));
}
