// No signal opens Node's debugger: a TCP port where every user of the machine can run code in the process.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { Lab } from '../harness/lab.js';

void t.test('SIGUSR1 opens no debugger', async (t) => {
  const lab = Lab.create(t);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const config = lab.writeRelay([]);
  const relay = lab.run(lab.relayProgram, ['run', '-c', config], { env: { ...process.env, NODE_OPTIONS: `--inspect-port=${port}` } });
  await relay.waitFor('listening');
  relay.child.kill('SIGUSR1');
  // Time enough for a debugger: two answers to another signal.
  for (let report = 0; report < 2; report++) {
    relay.forgetEvents();
    relay.child.kill('SIGUSR2');
    await relay.waitFor('status');
  }
  const outcome = await new Promise<string>((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve('open'));
    socket.on('error', ({ message }) => resolve(message)).on('close', () => socket.destroy());
  });
  t.match(outcome, /ECONNREFUSED/);
  t.equal(relay.stderrLines.some((line) => line.includes('Debugger')), false);
});
