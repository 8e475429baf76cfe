// coturn as the relay of the lab: one relay thread, no TLS, no credentials, no log. It encrypts nothing.

import { join } from 'node:path';
import type { SocketAddress } from '@ztna/protocol';
import type { LabNetwork } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';
import { findTools, freePort } from './tools.js';

export type StartedCoturn = { readonly ok: true; readonly program: Program; readonly address: SocketAddress } | { readonly ok: false; readonly reason: string };

/** Whether it serves shows when a client allocates: it says nothing on its output. */
export const startCoturn = async ({ network, teardown }: { readonly network: LabNetwork; readonly teardown: Teardown }): Promise<StartedCoturn> => {
  const tools = findTools('turnserver');
  if (!tools.ok) return tools;
  const { host } = network.relay;
  const port = await freePort();
  const directory = teardown.directory();
  const program = teardown.keep(
    () =>
      new Program(network.relay, tools.path.turnserver, [
        '-n', `--listening-ip=${host}`, `--relay-ip=${host}`, `--listening-port=${port}`, '--relay-threads=1', '--no-auth', '--no-tls', '--no-dtls', '--no-cli',
        '--no-software-attribute', '--allow-loopback-peers', '--realm=bench.test', `--db=${join(directory, 'turndb')}`, `--pidfile=${join(directory, 'turnserver.pid')}`, '--log-file=stdout', '--simple-log',
      ], { cwd: directory }),
  );
  return { ok: true, program, address: { host, port } };
};
