// A client whose address keeps changing makes its link anew before QUIC at the relay has no more paths for it.

import t from 'tap';
import { DEFAULT_LINK_LIMITS, type ControlMessage } from '@ztna/protocol';
import { connectorRig, gist, incoming, readyAgent, readyConnector, RELAY_1, TWO_RELAYS } from './client-fixture.js';

const { maxAddressChanges, addressRenewalMs } = DEFAULT_LINK_LIMITS;
let nextPort = 20_000;
const elsewhere = (port = nextPort++): ControlMessage => ({ type: 'observedAddress', observed: { host: '192.0.2.1', port } });
const moves = (count: number): ControlMessage[] => Array.from({ length: count }, () => elsewhere());
const dials = (commands: readonly { kind: string }[]) => commands.filter(({ kind }) => kind === 'dial');

t.test('dials the same relay at once, before QUIC gives up, while the old link stays in use', async (t) => {
  const rig = readyAgent({ relays: TWO_RELAYS });
  t.strictSame(dials(rig.receive(...moves(maxAddressChanges - 1))), []);
  t.strictSame(dials(rig.receive(elsewhere())), [{ kind: 'dial', link: 1, relay: 0 }]);
  t.equal(rig.machine.link, 0);
  t.equal(rig.machine.registered, true);
  t.ok(gist(rig.on(1).register(RELAY_1)).includes('event renewed'));
  t.equal(rig.machine.link, 1);
});

t.test('counts an address once, however often the client is back there', async (t) => {
  const rig = readyAgent();
  for (let round = 0; round < 3 * maxAddressChanges; round++) t.strictSame(dials(rig.receive(elsewhere(1), elsewhere(2))), []);
});

t.test('counts anew for every connection', async (t) => {
  const rig = readyAgent();
  rig.receive(...moves(maxAddressChanges - 1));
  rig.lose();
  rig.timeout();
  rig.register();
  t.strictSame(dials(rig.receive(...moves(maxAddressChanges - 1))), []);
  t.equal(dials(rig.receive(elsewhere())).length, 1);
});

t.test('asks once, and again only after the next has as many', async (t) => {
  const rig = readyAgent();
  rig.receive(...moves(maxAddressChanges));
  t.strictSame(dials(rig.receive(...moves(100))), [], 'while the successor is on its way');
  rig.on(1).register(RELAY_1);
  t.strictSame(dials(rig.receive(...moves(100))), [], 'on the link that was left');
  t.strictSame(dials(rig.on(1).receive(...moves(maxAddressChanges - 1))), []);
});

t.test('a relay that tells of ever new addresses has a client dial once a second', async (t) => {
  const rig = readyAgent();
  const from = rig.clock.now;
  const rounds = 5;
  for (let link = 0; link < rounds; link++) {
    let commands = rig.on(link).receive(...moves(maxAddressChanges));
    while (dials(commands).length === 0) commands = rig.timeout();
    rig.on(link + 1).register(RELAY_1);
  }
  t.equal(rig.clock.now - from, (rounds - 1) * addressRenewalMs);
});

t.test('a connector has its sessions taken over', async (t) => {
  const rig = readyConnector();
  rig.receive(incoming({ slot: 3, tag: 33 }));
  t.strictSame(dials(rig.receive(...moves(maxAddressChanges))), [{ kind: 'dial', link: 1, relay: 0 }]);
  t.match(rig.on(1).register(RELAY_1, ['web'])[1], { kind: 'send', link: 1, message: { type: 'register', takeOver: true } });
});

t.test('where the limit is another, so is the count', async (t) => {
  const rig = connectorRig({ limits: { maxAddressChanges: 1 } });
  rig.start();
  rig.register(RELAY_1, ['web']);
  t.equal(dials(rig.receive(elsewhere())).length, 1);
});
