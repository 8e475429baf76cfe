// Transfers that are given up, or never read, must not use up what the other flows of the agent need.

import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { startWebBackend } from '../harness/web-backend.js';

const MIB = 1024 * 1024;

const web = await startWebBackend(t);
const { agent, connector } = await startOverlay(t, { web: { backend: web.address } });
const url = (bytes: number): string => `http://127.0.0.1:${agent.port('web')}/bytes/1/${bytes}`;

/** A client that has seen the first bytes of a download and reads no more. */
const stall = async (bytes: number) => {
  const socket = connect(agent.port('web'), '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write(`GET /bytes/1/${bytes} HTTP/1.1\r\nHost: web\r\n\r\n`);
  await once(socket, 'data');
  socket.pause();
  return socket;
};

const download = async (bytes: number): Promise<number> => (await (await fetch(url(bytes))).arrayBuffer()).byteLength;

t.test('forty downloads given up in the middle leave the service as it was', async (t) => {
  for (let i = 0; i < 40; i++) {
    const socket = await stall(64 * MIB);
    // Half of them vanish with bytes unread all along the way.
    if (i % 2 === 0) socket.destroy();
    else socket.resetAndDestroy();
  }
  t.equal(await download(1000), 1000);
  t.equal(await download(32 * MIB), 32 * MIB);
});

t.test('sixteen readers that have stopped leave a seventeenth its way', async (t) => {
  const stalled = await Promise.all(Array.from({ length: 16 }, () => stall(64 * MIB)));
  t.equal(await download(64 * MIB), 64 * MIB);
  for (const socket of stalled) socket.destroy();
});

t.test('the connector stops at once when asked', async (t) => {
  t.equal(await connector.stop(), 0);
});
