// Which UDP socket is chosen, and what is said about it.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { bufferHint, describeUdp, openDatagramSocket, probeUdp, testBatchedSocket } from '@ztna/protocol';
import { noBatchedSockets, socketCalls } from './batched-calls.js';

const LOOPBACK = { host: '127.0.0.1', port: 0 };

t.test('auto takes the batched socket where it works', { skip: noBatchedSockets }, async (t) => {
  const socket = await openDatagramSocket(LOOPBACK, { mode: 'auto' });
  t.teardown(() => socket.close());
  t.equal(socket.kind, 'batched');
  t.match(await probeUdp('auto'), { udp: 'batched' });
});

t.test('plain is plain everywhere, and says that somebody chose it', async (t) => {
  const socket = await openDatagramSocket(LOOPBACK, { mode: 'plain' });
  t.teardown(() => socket.close());
  t.match(describeUdp(socket), { udp: 'plain', udpReason: 'configured' });
});

t.test('where koffi is not installed, auto is plain with the reason and batched is an error with it', { skip: process.platform !== 'linux' && 'koffi is not asked for' }, async (t) => {
  const { auto, batched } = await runChild('without-koffi.js');
  t.match(auto, { udp: 'plain', udpReason: /^the optional package koffi does not load: .*not here/ });
  t.match(batched, /^batched UDP does not work here: the optional package koffi .*; use udp: auto$/);
});

t.test('on a processor it was not written for, auto is plain with the reason', { skip: process.platform !== 'linux' && 'another platform is reason enough' }, async (t) => {
  const { auto } = await runChild('other-processor.js');
  t.match(auto, { udp: 'plain', udpReason: 'not for mips processors' });
});

t.test('the self test', { skip: noBatchedSockets }, async (t) => {
  const real = socketCalls();
  t.equal(await testBatchedSocket(real), undefined, 'passes with the real calls');
  t.match(await testBatchedSocket({ ...real, socket: () => -1 }), /failed: .*EPERM/, 'a filtered call is the reason');
  t.match(await testBatchedSocket({ ...real, recvmmsg: () => -38 }), /brought '' instead/, 'a call that brings nothing is the reason');
  t.match(await testBatchedSocket({ ...real, setsockopt: (fd, level, name, value, length) => (level === 17 ? -92 : real.setsockopt(fd, level, name, value, length)) }) ?? 'works', /works/, 'a kernel without GRO is good enough');
});

t.test('the hint about buffers', async (t) => {
  const asked = 4 * 1024 * 1024;
  const factor = process.platform === 'linux' ? 2 : 1;
  t.equal(bufferHint(asked * factor, asked * factor), undefined);
  t.match(bufferHint(212_992 * factor, asked * factor), /gives 208 KiB of socket buffer instead of 4096 KiB/);
  t.match(bufferHint(asked * factor, 212_992 * factor), /gives 208 KiB/);
  if (process.platform === 'linux') t.match(bufferHint(1, 1), /sysctl -w net\.core\.rmem_max=4194304 net\.core\.wmem_max=4194304$/);
});

const runChild = async (script: string): Promise<{ auto: object; batched: string }> => {
  const { stdout } = await promisify(execFile)(process.execPath, [fileURLToPath(new URL(script, import.meta.url))]);
  return JSON.parse(stdout) as { auto: object; batched: string };
};
