// The innocent user and the private application, in a process of their own so that an attacker's busy loop
// does not pass for a slow relay. Downloads a pattern without end through the agent, compares every byte,
// and says every 20 ms how far it is. Standard input: the agent's port, once.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream';
import { patternStream, patternChunks } from '../harness/pattern.js';

const PROGRESS_MS = 20;
const SEED = 4242;
const ENDLESS = 2 ** 50;

const say = (event: string, fields: object = {}): void => void process.stderr.write(`${JSON.stringify({ level: 'info', name: 'innocent', event, ...fields })}\n`);

const server = createServer((socket) => pipeline(patternStream(SEED, ENDLESS), socket, () => undefined));
server.listen(0, '127.0.0.1');
await once(server, 'listening');
say('listening', { port: (server.address() as AddressInfo).port });

const lines = createInterface({ input: process.stdin });
const [port] = (await once(lines, 'line')) as [string];
lines.close();

/** The pattern again, cut as the bytes come. */
const expected = patternChunks(SEED, ENDLESS);
let ahead: Buffer = Buffer.alloc(0);
let bytes = 0;

const compare = (chunk: Buffer): boolean => {
  for (let at = 0; at < chunk.length; ) {
    if (ahead.length === 0) ahead = Buffer.from(expected.next().value as Buffer);
    const length = Math.min(ahead.length, chunk.length - at);
    if (ahead.compare(chunk, at, at + length, 0, length) !== 0) return false;
    ahead = ahead.subarray(length);
    at += length;
  }
  return true;
};

const broken = (reason: string): void => {
  clearInterval(timer);
  say('broken', { reason: `${reason} after ${bytes} bytes` });
  process.exit(1);
};

const timer = setInterval(() => say('progress', { at: Date.now(), bytes }), PROGRESS_MS);
const socket = connect(Number(port), '127.0.0.1');
socket.on('data', (chunk: Buffer) => {
  if (!compare(chunk)) broken('other bytes than were sent');
  bytes += chunk.length;
});
socket.once('error', (error) => broken(error.message));
socket.once('close', () => broken('the connection was closed'));
