// kill -9 of a relay that agent, connector and a flow use, and its restart: how long until a new flow works.
// By themselves clients notice 5 to 15 s later, and these, newly connected, not before 10.

import { readFileSync, statSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { parseJournal } from '@ztna/intermediate-server';
import { countEvents, startOverlay } from '../harness/overlay.js';
import { scaledByLoad } from '../harness/patience.js';
import { eventually } from '../quic/eventually.js';
import { exchange, openTcp, outcome, startTaggedBackend, startTcpBackend } from '../harness/tcp.js';

/** The goal is 3 s on a machine of one's own; this one may be shared. Far from the 10 s of the next ping. */
const RETURN_LIMIT_MS = 5_000;

const tagged = await startTaggedBackend(t, 'here');
const silent = await startTcpBackend(t);
const overlay = await startOverlay(t, { app: { backend: tagged.address }, silent: { backend: silent.address } }, {}, { drainTimeout: '100ms' });
const { lab, connector, agent } = overlay;
let { relay } = overlay;

t.test('idle clients are back, and new flows work, within seconds of kill -9', async (t) => {
  t.equal((await exchange(t, agent.port('app'), 'who?')).received.toString(), 'here');
  const accepted = silent.next();
  const held = await openTcp(t, agent.port('silent'));
  const ended = outcome(held);
  held.write('held open');
  await accepted;
  const before = { agent: countEvents(agent.process, 'registered'), connector: countEvents(connector, 'registered') };

  const killed = performance.now();
  await relay.kill();
  relay = await lab.restartRelay();
  const listening = performance.now();
  t.match(await relay.waitFor('clients_prompted'), { level: 'info', clients: 2 });
  t.equal((await ended).ending, 'ECONNRESET', 'a flow that was open is reset, not ended as if complete');
  for (const [process, count] of [[agent.process, before.agent], [connector, before.connector]] as const) {
    await process.waitForEvent((event) => event.event === 'registered' && countEvents(process, 'registered') > count, 'registered again');
  }
  const { received } = await exchange(t, agent.port('app'), 'who?');
  const took = performance.now() - killed;
  t.equal(received.toString(), 'here');
  t.comment(`new flow ${Math.round(took)} ms after kill -9, ${Math.round(performance.now() - listening)} ms after the relay listened`);
  t.ok(took < scaledByLoad(RETURN_LIMIT_MS), `${Math.round(took)} ms`);
  for (const process of [agent.process, connector]) {
    t.match(await process.waitFor('disconnected'), { code: 'connection_lost', reason: /restarted/ });
  }
});

t.test('a flow opened in between waits for both to be back', async (t) => {
  await relay.kill();
  await lab.restartRelay().then((next) => (relay = next));
  // Whatever it meets (the dead connection, no link, no connector yet), a program that tries again gets through.
  const began = performance.now();
  let reply = '';
  let tries = 0;
  while (reply === '' && performance.now() - began < 2 * scaledByLoad(RETURN_LIMIT_MS)) {
    reply = (await exchange(t, agent.port('app'), 'who?')).received.toString();
    tries++;
  }
  const took = performance.now() - began;
  t.comment(`${tries} tries in ${Math.round(took)} ms`);
  t.equal(reply, 'here');
  t.ok(took < scaledByLoad(RETURN_LIMIT_MS), `${Math.round(took)} ms`);
});

t.test('the journal is the owner\'s only, holds who is connected, and is empty after a stop in good order', async (t) => {
  const journal = lab.path('relay-1.journal');
  t.equal(statSync(journal).mode & 0o777, 0o600);
  await eventually(() => journalled(journal) === 2);
  t.equal(await relay.stop(), 0);
  t.equal(readFileSync(journal, 'utf8'), 'ztna-relay-journal 1\n');
  relay = await lab.restartRelay();
  t.equal(countEvents(relay, 'clients_prompted'), 0, 'and the next start prompts nobody');
});

t.test('a journal of garbage, one of long ago, and one that cannot be written cost nothing but the prompts', async (t) => {
  const journal = lab.path('relay-1.journal');
  const header = Buffer.from('ztna-relay-journal 1\n');
  const old = `ztna-relay-journal 1\n+ 1700000000 a ${'ab'.repeat(16)} 127.0.0.1 9\n`;
  for (const [name, text, reason] of [
    ['garbage', Buffer.concat([header, Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 31) & 0xff))]), /could not be read/],
    ['long ago', Buffer.from(old), /2023-11-14/],
    ['oversized', Buffer.concat([header, Buffer.alloc(9 * 1024 * 1024, 'x')]), /larger than/],
  ] as const) {
    await relay.kill();
    writeFileSync(journal, text);
    relay = await lab.restartRelay();
    t.match(await relay.waitFor('journal_ignored'), { level: 'warn', reason, clients: 0 }, name);
  }
  await relay.kill();
  writeFileSync(journal, 'what somebody has put there');
  relay = await lab.restartRelay();
  t.match(await relay.waitFor('journal_unwritable'), { level: 'warn', reason: /no relay journal and is left alone/ });
  t.equal(readFileSync(journal, 'utf8'), 'what somebody has put there');
  await relay.kill();
  lab.write('relay-1.yaml', lab.read('relay-1.yaml') + 'journal: /proc/journal\n');
  relay = await lab.restartRelay();
  t.match(await relay.waitFor('journal_unwritable'), { level: 'warn', reason: /\/proc\/journal/ });
  t.equal(countEvents(relay, 'journal_unwritable'), 1);
});

const journalled = (path: string): number => parseJournal(readFileSync(path, 'utf8'), Date.now()).entries.length;
