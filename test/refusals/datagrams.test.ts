// Datagrams for sessions of others: a registered agent that guesses slots and tags, and even knows them.
// Nothing it sends arrives anywhere, everything is counted, it is told once, and two victims notice
// nothing: a fixture pair whose every datagram is counted, and an ordinary TCP flow.

import { randomInt } from 'node:crypto';
import t from 'tap';
import { DATAGRAM_QUEUED, encodeHeader, type DropReason, type SessionHandle } from '@ztna/protocol';
import type { HostileClient } from '../harness/hostile-client.js';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { joinAs, openPair } from '../harness/intruder.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const MALLORY = `spiffe://${TRUST_DOMAIN}/agent/mallory`;
const GUESSES = 10_000;
/** The relay's table fills from slot 0: where a guesser looks first. */
const LIKELY_SLOTS = 16;
/** Datagrams between two waits for an answer, so that no queue on the way overflows. */
const BURST = 250;
const VICTIM_DATAGRAMS = 40;

interface DatagramTotals {
  readonly received: number;
  readonly forwarded: number;
  readonly consumed: number;
  readonly dropped: Readonly<Record<DropReason, number>>;
}

const lab = Lab.create(t);
lab.enrol('agent', 'bob');
lab.enrol('agent', 'mallory');
lab.enrol('connector', 'rogue', ['ssh']);
const policy = [
  { allow: ['alice'], services: ['web'] },
  { allow: ['bob', 'mallory'], services: ['ssh'] },
];
const { relay, connector, agent, flow } = await startInnocentLab(t, lab, policy);

t.test(`delivers none of ${GUESSES} datagrams of an agent for sessions of others, and tells it once`, async (t) => {
  const arrived: string[] = [];
  const onDatagram = (payload: Buffer, length: number): void => void arrived.push(payload.toString('latin1', 16, length));
  const bob = await joinAs(lab, 'agent', 'bob', [], { onDatagram });
  const connector = await joinAs(lab, 'connector', 'rogue', ['ssh'], { onDatagram });
  const victim = await openPair(bob, connector);
  const mallory = await joinAs(lab, 'agent', 'mallory');
  const own = await openPair(mallory, connector);
  relay.forgetEvents();

  const targets: ((tag: number) => SessionHandle)[] = [
    (tag) => ({ slot: randomInt(LIKELY_SLOTS), tag }),
    (tag) => ({ slot: randomInt(2 ** 32), tag }),
    () => victim.agentEnd,
    () => victim.connectorEnd,
    () => own.connectorEnd,
    (tag) => ({ slot: own.agentEnd.slot, tag }),
  ];
  for (let sent = 0; sent < GUESSES; sent += BURST) {
    for (let i = 0; i < BURST; i++) {
      const handle = targets[(sent + i) % targets.length]!(randomInt(2 ** 32));
      // One guess in 2^32 would hit its own session: then it would be no guess.
      if (handle.slot === own.agentEnd.slot && handle.tag === own.agentEnd.tag) continue;
      mallory.sendSessionDatagram(handle, Buffer.from('forged'));
    }
    // The victims' own traffic goes on between the bursts.
    bob.sendSessionDatagram(victim.agentEnd, Buffer.from('to connector'));
    connector.sendSessionDatagram(victim.connectorEnd, Buffer.from('to agent'));
    await Promise.all([mallory.roundTrip(), flow.roundTrip()]);
  }
  await Promise.all([connector.whenDatagrams(VICTIM_DATAGRAMS), bob.whenDatagrams(VICTIM_DATAGRAMS)]);
  t.same(new Set(arrived), new Set(['to connector', 'to agent']), 'nothing forged arrived');
  t.equal(connector.datagramsReceived, VICTIM_DATAGRAMS);
  t.equal(bob.datagramsReceived, VICTIM_DATAGRAMS);
  t.equal(mallory.datagramsReceived, 0);

  t.match(await mallory.take('error'), { code: 'session_unknown', about: 'datagram' });
  t.same(mallory.messages.filter(({ type }) => type === 'error'), [], 'told once');
  t.equal(relay.events.filter(({ event }) => event === 'datagram_refused').length, 1, 'logged once');
  t.match(await relay.waitFor('datagram_refused', { code: 'session_unknown', identity: MALLORY }), { reason: /belongs to another connection/ });
  t.notOk(mallory.hasEnded);
  for (const client of [mallory, bob, connector]) await client.close();
});

t.test('drops datagrams with a bad header, or from a client that has not registered, and lives on', async (t) => {
  const mallory = await joinAs(lab, 'agent', 'mallory');
  for (const bytes of badDatagrams()) t.equal(mallory.sendDatagram(bytes), DATAGRAM_QUEUED);
  await settled(mallory);
  t.equal(mallory.datagramsReceived, 0);
  await mallory.close();
});

t.test('counts every datagram it received exactly once, by the time it stops', async (t) => {
  await flow.roundTrip();
  // Clients first: a relay lets open sessions finish.
  await agent.stop();
  await connector.stop();
  await relay.stop();
  const { datagrams } = (await relay.waitFor('stopped')) as unknown as { datagrams: DatagramTotals };
  const { received, forwarded, consumed, dropped } = datagrams;
  t.equal(received, forwarded + consumed + Object.values(dropped).reduce((sum, count) => sum + count, 0));
  // A twelfth of all guesses, at the least, went to each kind of target.
  for (const reason of ['not_owner', 'slot_unknown', 'tag_mismatch'] as const) t.ok(dropped[reason] > GUESSES / 12, `${reason}: ${dropped[reason]}`);
  t.ok(dropped.not_owner + dropped.slot_unknown + dropped.tag_mismatch >= GUESSES * 0.99, 'guesses arrived at the relay');
  for (const reason of ['header_too_short', 'bad_magic', 'bad_version', 'bad_type', 'reserved_bits_set'] as const) t.equal(dropped[reason], 1, reason);
  checkNoSecretsLogged(t, lab);
});

/** One for each fault of a header. */
function badDatagrams(): Buffer[] {
  const good = encodeHeader({ type: 0, slot: 0, tag: 0 });
  const edited = (offset: number, value: number): Buffer => {
    const bytes = Buffer.from(good);
    bytes[offset] = value;
    return bytes;
  };
  return [Buffer.from(good.subarray(0, 15)), edited(0, 0x40), edited(4, 9), edited(5, 9), edited(7, 1)];
}

/** Datagrams sent before a message of a later packet are handled before it. */
async function settled(client: HostileClient): Promise<void> {
  await client.roundTrip();
}
