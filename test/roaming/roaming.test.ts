// A client behind a NAT that forgets, or on a laptop that moves: its address changes far more often than QUIC has paths for,
// in the middle of a transfer, and neither its connection nor a byte is lost.

import t, { type Test } from 'tap';
import { startEchoBackend } from '../harness/tcp.js';
import { Lab } from '../harness/lab.js';
import { countEvents, waitForCount } from '../harness/overlay.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { SteadyTransfer } from '../rotation/steady-transfer.js';
import { LossyLink } from '../soak/lossy-link.js';

/** quiche takes seven. */
const CHANGES = 30;

t.setTimeout(120_000);

/** A relay, a connector and an agent, one of the two behind a NAT. */
const startBehindNat = async (t: Test, role: 'agent' | 'connector') => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  lab.enrol('connector', 'con-1', ['echo']);
  lab.enrol('agent', 'alice');
  await lab.startRelay([{ allow: ['alice'], services: ['echo'] }]);
  const nat = await LossyLink.open({ name: role, seed: 1, loss: 0, reordering: 0, duplication: 0, delayMs: 0, relay: () => ({ host: '127.0.0.1', port: lab.relayPort }) });
  t.teardown(() => nat.close());
  const behindNat = { relays: [{ address: `127.0.0.1:${nat.port}`, name: 'relay-1' }] };
  const connector = await lab.startConnector('con-1', { echo: { backend: backend.address } }, role === 'connector' ? behindNat : {});
  const agent = await lab.startAgent('alice', [{ service: 'echo' }], role === 'agent' ? behindNat : {});
  return { nat, agent, client: role === 'agent' ? agent.process : connector };
};

/** The relay has told of another address. */
const move = async (nat: LossyLink, client: ManagedProcess, transfer: SteadyTransfer): Promise<void> => {
  const seen = countEvents(client, 'observed_address');
  await nat.rebind();
  await transfer.progress();
  await waitForCount(client, 'observed_address', seen + 1);
};

for (const role of ['agent', 'connector'] as const) {
  t.test(`a transfer loses no byte while the address of the ${role} changes ${CHANGES} times`, async (t) => {
    const { nat, agent, client } = await startBehindNat(t, role);
    const transfer = await SteadyTransfer.start(t, agent.port('echo'));
    for (let change = 1; change <= CHANGES; change++) await move(nat, client, transfer);
    const bytes = await transfer.finish();
    t.ok(bytes > 0, `${bytes} bytes, each as it was sent`);
    t.equal(nat.stats.rebinds, CHANGES);
    t.equal(countEvents(client, 'registered'), 1, 'the connection of the start is that of the end');
    t.equal(countEvents(client, 'disconnected'), 0);
  });
}
