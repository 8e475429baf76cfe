// The health port under bytes that are no request, requests that never end, peers that do not read, and more
// connections than it has places for. Whatever comes, an honest probe from elsewhere is answered.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { get } from 'node:http';
import t, { type Test } from 'tap';
import { HEALTH_REQUEST_TIMEOUT_MS, MAX_HEALTH_CONNECTIONS, MAX_HEALTH_HEADER_BYTES } from '@ztna/protocol';
import { seededRandom } from '@ztna/protocol/testing';
import { exchange, openRaw, readAll, startHealthPort, statusOf } from './health-port.js';

/** Another source than the attacker, as far as limits per source go. */
const INNOCENT = '127.0.0.2';

const probe = (port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path: '/readyz', agent: false, localAddress: INNOCENT }, (answer) => {
      answer.resume();
      resolve(answer.statusCode!);
    }).on('error', reject);
  });

const stillAnswers = async (t: Test, port: number): Promise<void> => void t.equal(await probe(port), 200, 'an honest probe is answered');

const SEED = 20_261_120;

void t.test('bytes that are no request are 400 or nothing, and never end the process', async (t) => {
  const { port } = await startHealthPort(t);
  const random = seededRandom(SEED);
  const valid = 'GET /readyz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer abc\r\nConnection: close\r\n\r\n';
  for (let round = 0; round < 200; round++) {
    // Another source every few rounds: the limit per source is not what this is about.
    const from = `127.0.1.${1 + Math.floor(round / 20)}`;
    const status = statusOf(await exchange(t, port, mutate(valid, round, random), from));
    t.ok([0, 200, 400, 404, 405, 431, 417, 501, 505].includes(status), `round ${round} of seed ${SEED}: ${status}`);
  }
  await stillAnswers(t, port);
});

void t.test('malformed, smuggled and oversized requests are refused', async (t) => {
  const { port } = await startHealthPort(t);
  const cases: Record<string, [request: string, expected: number[]]> = {
    'a TLS ClientHello on plain HTTP': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [400]],
    'an HTTP/2 preface': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 405]],
    'a header beyond the bound': [`GET /healthz HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(MAX_HEALTH_HEADER_BYTES)}\r\n\r\n`, [431]],
    'a target beyond the bound': [`GET /${'x'.repeat(2 * MAX_HEALTH_HEADER_BYTES)} HTTP/1.1\r\nHost: a\r\n\r\n`, [431]],
    'two lengths': ['GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx', [400]],
    'a length and chunks': ['GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', [400]],
    'a negative length': ['GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n', [400]],
    'no host': ['GET /healthz HTTP/1.1\r\n\r\n', [400]],
    'a bare CR in a header': ['GET /healthz HTTP/1.1\r\nHost: a\rX: b\r\n\r\n', [400]],
    'a method nobody knows': ['BREW /healthz HTTP/1.1\r\nHost: a\r\n\r\n', [400]],
    'a tunnel': ['CONNECT 10.0.0.1:22 HTTP/1.1\r\nHost: 10.0.0.1:22\r\n\r\n', [0, 400, 405]],
    'another version': ['GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n', [400, 505]],
    'an expectation nobody meets': ['GET /healthz HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n', [417]],
    'a whole URL as target': ['GET http://10.0.0.1/healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', [404]],
  };
  for (const [name, [request, expected]] of Object.entries(cases)) {
    const status = statusOf(await exchange(t, port, request));
    t.ok(expected.includes(status), `${name}: ${status}`);
  }
  await stillAnswers(t, port);
});

void t.test('a body is not read: the answer comes at once and ends the connection', async (t) => {
  const { port } = await startHealthPort(t);
  const socket = await openRaw(t, port);
  const answer = readAll(socket);
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nthe first of a billion bytes');
  t.match(await answer, /^HTTP\/1\.1 200 [^]*connection: close[^]*ok\n$/);
});

void t.test('a request that trickles in is cut off in time, with honest probes answered all along', async (t) => {
  const { port } = await startHealthPort(t);
  const from = performance.now();
  const sockets = await Promise.all(Array.from({ length: 20 }, () => openRaw(t, port)));
  const trickle = setInterval(() => {
    for (const socket of sockets) if (socket.writable) socket.write('X');
  }, 200);
  t.teardown(() => clearInterval(trickle));
  for (const socket of sockets) socket.write('GET /readyz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
  await stillAnswers(t, port);
  const answers = await Promise.all(sockets.map(readAll));
  t.ok(answers.every((answer) => statusOf(answer) === 408 || answer === ''));
  const took = performance.now() - from;
  t.ok(took < 3 * HEALTH_REQUEST_TIMEOUT_MS, `all of them gone after ${took.toFixed(0)} ms`);
});

void t.test('connections that say nothing are ended', async (t) => {
  const { port } = await startHealthPort(t);
  const socket = await openRaw(t, port);
  const from = performance.now();
  await readAll(socket);
  t.ok(performance.now() - from < 3 * HEALTH_REQUEST_TIMEOUT_MS);
});

void t.test('over the bound the oldest connection gives way: who holds connections keeps nobody out', async (t) => {
  const { port } = await startHealthPort(t);
  const held = [];
  // From several sources, each within its own limit.
  for (let i = 0; i < MAX_HEALTH_CONNECTIONS; i++) held.push(await openRaw(t, port, `127.0.2.${1 + (i % 4)}`));
  const oldestGone = once(held[0]!, 'close');
  await stillAnswers(t, port);
  await oldestGone;
  t.equal(held[1]!.destroyed, false, 'one was enough');
  for (let i = 0; i < 8; i++) await stillAnswers(t, port);
});

void t.test('a flood of connections from one source is cut off at once; another source is answered', async (t) => {
  const { port } = await startHealthPort(t);
  const flood = await Promise.all(Array.from({ length: 200 }, async () => statusOf(await exchange(t, port, 'GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))));
  const refused = flood.filter((status) => status === 0).length;
  t.ok(refused > 100, `${refused} of ${flood.length} refused`);
  await stillAnswers(t, port);
});

void t.test('a peer that asks and does not read is let go', async (t) => {
  const { port } = await startHealthPort(t);
  const socket = await openRaw(t, port);
  socket.pause();
  const closed = once(socket, 'close');
  const request = 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n';
  socket.write(request.repeat(2000));
  await stillAnswers(t, port);
  socket.on('end', () => undefined);
  const from = performance.now();
  // Reading on would take what is there; the port ended the connection after its bound of requests.
  socket.resume();
  await closed;
  t.ok(performance.now() - from < 5 * HEALTH_REQUEST_TIMEOUT_MS);
});

/** Random bytes, or the valid request cut, with bytes changed, repeated, or with control characters. */
function mutate(valid: string, round: number, random: () => number): Buffer {
  const bytes = Buffer.from(valid, 'latin1');
  const at = Math.floor(random() * bytes.length);
  switch (round % 5) {
    case 0:
      return randomBytes(1 + at);
    case 1:
      return bytes.subarray(0, at);
    case 2:
      bytes[at] = Math.floor(random() * 256);
      return bytes;
    case 3:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from('\r\n\0\x7f\n'), bytes.subarray(at)]);
    default:
      return Buffer.concat([bytes.subarray(0, at), bytes, bytes.subarray(at)]);
  }
}
