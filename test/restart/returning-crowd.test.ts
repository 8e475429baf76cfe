// 500 clients, each from an address of its own, whose relay is killed and started again: how soon all are back, and
// that they do not come all at once.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { parseJournal } from '@ztna/intermediate-server';
import { eventually } from '../quic/eventually.js';
import { Lab } from '../harness/lab.js';
import type { LogEvent, ManagedProcess } from '../harness/managed-process.js';
import { scaledByLoad } from '../harness/patience.js';

const CLIENTS = 500;
const PROCESSES = 2;
/** On a quiet machine under 3 s. By themselves they would notice from 15 s after they connected: the first ping, and no answer. */
const RETURN_LIMIT_MS = 8_000;
const WINDOW_MS = 100;
/** Prompts go out at 40 per window, and clients wait up to 250 ms after theirs. The rest is for processes that are kept waiting. */
const MAX_PER_WINDOW = 100;

const program = fileURLToPath(new URL('crowd-program.js', import.meta.url));

const lab = Lab.create(t);
lab.issue('agent', 'alice');
// Ed25519 in JavaScript takes clients 4 ms each: that would be the clients' time, not the relay's.
lab.registrationKey('alice', 'agent', [], { algorithm: 'hmac-sha256' });
// The clients' identity is one; its registrations are many.
// At level info a crowd of one identity is mostly left out of the log, and its handshakes are counted by their lines.
let relay = await lab.startRelay([{ allow: ['alice'], services: ['any'] }], { extra: { log: { level: 'debug' } } });
const path = lab.agentConfig('alice');
const share = CLIENTS / PROCESSES;
const crowds = Array.from({ length: PROCESSES }, (_, n) => lab.run(program, [path, String(n * share), String(share)]));
await Promise.all(crowds.map((crowd) => registered(crowd, share)));
// The journal is a turn of the relay's event loop behind, which is long while 500 clients come at once.
await eventually(() => parseJournal(lab.read('relay-1.journal'), Date.now()).entries.length === CLIENTS);

t.test('500 clients are back within seconds of kill -9, in an even stream', async (t) => {
  for (const crowd of crowds) crowd.forgetEvents();
  const clientCpu = crowds.reduce((sum, crowd) => sum + cpuMs(crowd), 0);
  const killed = Date.now();
  await relay.kill();
  relay = await lab.restartRelay();
  const cpuAtStart = cpuMs(relay);
  const listening = timeOf(await relay.waitFor('listening'));
  await Promise.all(crowds.map((crowd) => registered(crowd, share)));

  const returns = crowds.flatMap((crowd) => crowd.events).filter(({ event }) => event === 'registered').map(({ at }) => (at as number) - killed);
  returns.sort((a, b) => a - b);
  const handshakes = relay.events.filter(({ event }) => event === 'client_connected').map(timeOf);
  t.match(await relay.waitFor('clients_prompted'), { clients: CLIENTS });
  const peak = largestWindow(handshakes, WINDOW_MS);
  const [median, last] = [returns[CLIENTS / 2]!, returns.at(-1)!];
  t.comment(`after kill -9: relay listens ${listening - killed} ms, clients back: first ${ms(returns[0]!)}, median ${ms(median)}, last ${ms(last)}; at most ${peak} handshakes in ${WINDOW_MS} ms`);
  t.comment(`CPU: relay ${cpuMs(relay) - cpuAtStart} ms since it listens, clients ${crowds.reduce((sum, crowd) => sum + cpuMs(crowd), 0) - clientCpu} ms`);
  t.equal(returns.length, CLIENTS);
  t.ok(last < scaledByLoad(RETURN_LIMIT_MS), ms(last));
  t.ok(handshakes.length <= 1.1 * CLIENTS, `${handshakes.length} handshakes: nearly everybody gets through at once`);
  t.ok(peak <= MAX_PER_WINDOW, `${peak} in ${WINDOW_MS} ms`);
  const losses = crowds.flatMap((crowd) => crowd.events).filter(({ event, code }) => event === 'disconnected' && code !== 'relay_unreachable');
  t.strictSame([...new Set(losses.map(({ code }) => code))], ['connection_lost']);
  t.ok(losses.every(({ reason }) => /restarted/.test(String(reason))), 'everybody was told; nobody waited for a pong in vain');
  t.ok(losses.length >= CLIENTS);
});

function registered(crowd: ManagedProcess, count: number): Promise<LogEvent> {
  const clients = new Set<unknown>();
  const note = (event: LogEvent): boolean => {
    if (event.event === 'registered') clients.add(event.client);
    return clients.size === count;
  };
  return crowd.waitForEvent(note, `${count} clients registered`);
}

/** The most times within any `width`; the list gets sorted. */
function largestWindow(times: number[], width: number): number {
  times.sort((a, b) => a - b);
  let start = 0;
  return times.reduce((most, time, end) => {
    while (time - times[start]! >= width) start++;
    return Math.max(most, end - start + 1);
  }, 0);
}

function timeOf({ time }: LogEvent): number {
  return Date.parse(String(time));
}

/** User and system time of a process so far; the kernel counts it in hundredths of a second. */
function cpuMs({ pid }: ManagedProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
