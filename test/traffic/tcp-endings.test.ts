// How TCP connections begin and end, carried one to one: half-close, the server speaking first, reset,
// orderly close, refusal, and a client that vanishes.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import t from 'tap';
import { allFlowsClosed, startOverlay } from '../harness/overlay.js';
import { patternBytes, patternStream } from '../harness/pattern.js';
import { closed, exchange, openTcp, outcome, startTcpBackend, unusedPort } from '../harness/tcp.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';

/** Each of these ends with a FIN of its own; enough of them to meet every timing of acknowledgements. */
const SILENT_ENDINGS = 100;

/** Answers only after the request has ended: what half-close is for. */
const counter = await startTcpBackend(t, (socket) => {
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length));
  socket.once('end', () => socket.end(`${bytes} bytes\n`));
});
const greeter = await startTcpBackend(t, (socket) => {
  socket.write('220 ready\r\n');
  socket.once('data', () => socket.end('221 bye\r\n'));
});
const resetter = await startTcpBackend(t, (socket) => void socket.once('data', () => socket.resetAndDestroy()));
const halfway = await startTcpBackend(t, (socket) => {
  socket.write(patternBytes(5, 100_000), () => socket.once('data', () => socket.resetAndDestroy()));
});
/** Reads everything and ends without a word. */
const silent = await startTcpBackend(t, (socket) => void socket.resume().once('end', () => socket.end()));
/** Ends its own direction at once and keeps reading. */
const listener = await startTcpBackend(t, (socket) => void socket.end());
const web = await startWebBackend(t);

const { agent, connector, relay } = await startOverlay(t, {
  counter: { backend: counter.address },
  greeter: { backend: greeter.address },
  resetter: { backend: resetter.address },
  halfway: { backend: halfway.address },
  silent: { backend: silent.address },
  listener: { backend: listener.address },
  web: { backend: web.address },
  down: { backend: `127.0.0.1:${await unusedPort()}` },
  unresolvable: { backend: 'no-such-host.invalid:80' },
});

t.test('nc -N half-closes after its request and still gets the answer', async (t) => {
  const nc = requireTool(t, 'nc');
  if (!nc) return;
  const { exit, stdout, stderr } = await runTool(nc, ['-N', '-w', '20', '127.0.0.1', String(agent.port('counter'))], { input: patternBytes(1, 1_000_000) });
  t.same({ exit, said: stdout.toString() }, { exit: 0, said: '1000000 bytes\n' }, stderr);
});

t.test('a server that speaks first is heard before the client says a word', async (t) => {
  const socket = await openTcp(t, agent.port('greeter'));
  const [greeting] = (await once(socket, 'data')) as [Buffer];
  t.equal(greeting.toString(), '220 ready\r\n');
  const over = outcome(socket);
  socket.write('QUIT\r\n');
  const { received, ending } = await over;
  t.same({ said: received.toString(), ending }, { said: '221 bye\r\n', ending: 'end' });
});

t.test(`${SILENT_ENDINGS} connections that end without an answer all end`, async (t) => {
  const endings = new Map<string, number>();
  for (let i = 0; i < SILENT_ENDINGS; i++) {
    const { received, ending } = await exchange(t, agent.port('silent'), 'x');
    const seen = `${received.length} bytes, then ${ending}`;
    endings.set(seen, (endings.get(seen) ?? 0) + 1);
  }
  t.same([...endings], [['0 bytes, then end', SILENT_ENDINGS]]);
});

t.test('a server may end its direction first and go on reading', async (t) => {
  const arriving = listener.next();
  const client = await openTcp(t, agent.port('listener'));
  const [{ ending }, backend] = await Promise.all([outcome(client), arriving]);
  t.equal(ending, 'end');
  const heard = outcome(backend);
  client.end(patternBytes(2, 500_000));
  const { received } = await heard;
  t.ok(received.equals(patternBytes(2, 500_000)), `${received.length} bytes after the server's end`);
});

t.test('a reset by the backend is a reset at the client', async (t) => {
  const socket = await openTcp(t, agent.port('resetter'));
  const over = outcome(socket);
  socket.write('anything');
  t.equal((await over).ending, 'ECONNRESET');
});

t.test('a reset in the middle of a transfer is no orderly end', async (t) => {
  const socket = await openTcp(t, agent.port('halfway'));
  const over = outcome(socket);
  socket.write('enough');
  const { received, ending } = await over;
  t.equal(ending, 'ECONNRESET');
  t.ok(received.equals(patternBytes(5, 100_000).subarray(0, received.length)), 'what came before is intact');
});

t.test('a reset by the client is a reset at the backend', async (t) => {
  const arriving = counter.next();
  const socket = await openTcp(t, agent.port('counter'));
  socket.write('request');
  const backend = await arriving;
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => backend.once('error', resolve));
  socket.resetAndDestroy();
  t.equal((await failed).code, 'ECONNRESET');
});

t.test('a backend that is down is a reset at the client and has its code in both logs', async (t) => {
  const { ending } = await exchange(t, agent.port('down'), 'anything');
  t.equal(ending, 'ECONNRESET');
  const fields = { service: 'down', code: 'backend_refused' };
  t.match(await agent.process.waitFor('flow_refused', fields), { level: 'warn' });
  t.match(await connector.waitFor('flow_refused', fields), { level: 'warn' });
});

t.test('a backend name that does not resolve has its own code', async (t) => {
  const { ending } = await exchange(t, agent.port('unresolvable'), 'anything');
  t.equal(ending, 'ECONNRESET');
  await agent.process.waitFor('flow_refused', { service: 'unresolvable', code: 'backend_name_unresolved' });
});

t.test('a client killed in the middle of a download frees everything on the way', async (t) => {
  const curl = requireTool(t, 'curl');
  if (!curl) return;
  const arriving = once(web.server, 'connection') as Promise<[Socket]>;
  const child = spawn(curl, ['-sS', '-o', '-', `http://127.0.0.1:${agent.port('web')}/bytes/9/${2 ** 30}`], { stdio: ['ignore', 'pipe', 'ignore'] });
  const [backend] = await arriving;
  await once(child.stdout, 'data');
  const ended = closed(backend);
  child.kill('SIGKILL');
  await ended;
  t.pass('the backend saw its connection end');
  await allFlowsClosed(connector);
  const { stdout, stderr } = await runTool(curl, ['-sS', `http://127.0.0.1:${agent.port('web')}/hello`]);
  t.equal(stdout.toString(), 'hello from behind', stderr);
});

t.test('a client killed in the middle of an upload frees everything on the way', async (t) => {
  const curl = requireTool(t, 'curl');
  if (!curl) return;
  const arriving = counter.next();
  const child = spawn(curl, ['-sS', '-T', '-', `telnet://127.0.0.1:${agent.port('counter')}`], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.stdin.on('error', () => undefined);
  patternStream(10, 2 ** 30).pipe(child.stdin);
  const backend = await arriving;
  await once(backend, 'data');
  const ended = closed(backend);
  child.kill('SIGKILL');
  await ended;
  t.pass('the backend saw its connection end');
  await allFlowsClosed(connector);
});

t.test('all of that took one session for each service and ended none', async (t) => {
  t.notOk(relay.events.some(({ event }) => event === 'session_closed'), 'flows come and go inside their session');
});
