// CPU per 1200-byte packet of the two UDP sockets, sending and receiving, each side its own process.
// Loopback, so compare rows of one run only.
//
//   node bench/dist-test/micro/udp.js [--rate 80000] [--seconds 3] [--run 20]

import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openDatagramSocket, type UdpMode } from '@ztna/protocol';

const PACKET_BYTES = 1200;
const WARM_UP_MS = 500;

const { values } = parseArgs({
  options: { rate: { type: 'string', default: '80000' }, seconds: { type: 'string', default: '3' }, run: { type: 'string', default: '20' }, child: { type: 'string' }, mode: { type: 'string' }, port: { type: 'string', default: '0' } },
});

interface Result {
  readonly packets: number;
  readonly user: number;
  readonly system: number;
}

/** Packets and CPU from `WARM_UP_MS` after the first packet, until asked for. */
const meter = () => {
  let packets = 0;
  let cpu = process.cpuUsage();
  setTimeout(() => {
    packets = 0;
    cpu = process.cpuUsage();
  }, WARM_UP_MS);
  process.once('message', () => {
    const { user, system } = process.cpuUsage(cpu);
    process.send!({ packets, user, system } satisfies Result, () => process.exit());
  });
  return { count: (n: number) => void (packets += n) };
};

const receive = async (mode: UdpMode): Promise<void> => {
  const socket = await openDatagramSocket({ host: '127.0.0.1', port: 0 }, { mode });
  const { count } = meter();
  socket.start({ onPacket: () => count(1), onBatchEnd: () => undefined });
  process.send!(socket.local.port);
};

const send = async (mode: UdpMode, port: number): Promise<void> => {
  const socket = await openDatagramSocket({ host: '127.0.0.1', port: 0 }, { mode });
  const { count } = meter();
  const perRun = Number(values.run);
  const run = Buffer.alloc(perRun * PACKET_BYTES);
  const start = performance.now();
  let runs = 0;
  setInterval(() => {
    const due = ((performance.now() - start) / 1000) * (Number(values.rate) / perRun);
    // Behind for good: sending all of it at once would measure something else.
    if (due - runs > 200) runs = due - 200;
    for (; runs < due; runs++) {
      socket.sendRun(run, run.length, PACKET_BYTES, '127.0.0.1', port);
      count(perRun);
    }
  }, 1);
  process.send!(0);
};

const spawn = async (child: 'send' | 'receive', mode: string, port = 0): Promise<{ process: ChildProcess; port: number }> => {
  const forked = fork(fileURLToPath(import.meta.url), ['--child', child, '--mode', mode, '--port', String(port), '--rate', values.rate, '--run', values.run]);
  const [answer] = (await once(forked, 'message')) as [number];
  return { process: forked, port: answer };
};

const result = async (child: ChildProcess): Promise<Result> => {
  const answer = once(child, 'message');
  child.send('report');
  return ((await answer) as [Result])[0];
};

const row = ({ packets, user, system }: Result) => ({
  packets,
  'µs/packet': Number(((user + system) / packets).toFixed(2)),
  user: Number((user / packets).toFixed(2)),
  system: Number((system / packets).toFixed(2)),
});

const compare = async (): Promise<void> => {
  const rows: object[] = [];
  for (const sending of ['plain', 'batched'])
    for (const receiving of ['plain', 'batched']) {
      const receiver = await spawn('receive', receiving);
      const sender = await spawn('send', sending, receiver.port);
      await new Promise((resolve) => setTimeout(resolve, WARM_UP_MS + Number(values.seconds) * 1000));
      const [sent, received] = await Promise.all([result(sender.process), result(receiver.process)]);
      rows.push({ sending, receiving, side: 'send', ...row(sent) }, { sending, receiving, side: 'receive', ...row(received) });
    }
  console.table(rows);
};

if (values.child === 'send') await send(values.mode as UdpMode, Number(values.port));
else if (values.child === 'receive') await receive(values.mode as UdpMode);
else await compare();
