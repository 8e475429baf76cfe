// `ssh -L` through a jump host: an sshd at the relay's site, an sshd at the connector's, and at the agent's a client that
// forwards local ports. Throw-away keys, nothing of the user's own is read.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { LabNetwork, Site } from './network.js';
import { Program } from './program.js';
import type { Teardown } from './teardown.js';
import { findTools, freePort } from './tools.js';

/** Where Debian's sshd, run by root, separates privileges; its service unit would make it. */
const PRIVILEGE_DIRECTORY = '/run/sshd';

export type StartedSsh = { readonly ok: true; /** By the port they lead to. */ readonly local: ReadonlyMap<number, number> } | { readonly ok: false; readonly reason: string };

/** @param ports at 127.0.0.1 of the connector's site */
export const startSshForward = async ({ network, teardown }: { readonly network: LabNetwork; readonly teardown: Teardown }, ports: readonly number[]): Promise<StartedSsh> => {
  const tools = findTools('ssh', 'sshd', 'ssh-keygen');
  if (!tools.ok) return tools;
  const directory = teardown.directory();
  const file = (name: string): string => join(directory, name);
  if (userInfo().uid === 0) mkdirSync(PRIVILEGE_DIRECTORY, { recursive: true, mode: 0o755 });
  for (const key of ['host_key', 'user_key']) {
    const { status, stderr } = spawnSync(tools.path['ssh-keygen'], ['-q', '-t', 'ed25519', '-N', '', '-f', file(key)], { encoding: 'utf8' });
    if (status !== 0) throw new Error(`ssh-keygen: ${stderr}`);
  }
  writeFileSync(file('authorized_keys'), readFileSync(file('user_key.pub')), { mode: 0o600 });
  const startServer = async (site: Site): Promise<number> => {
    const port = await freePort();
    writeFileSync(file(`${site.name}.conf`), [
      `ListenAddress ${site.host}:${port}`, `HostKey ${file('host_key')}`, `AuthorizedKeysFile ${file('authorized_keys')}`, 'PidFile none', 'UsePAM no', 'PasswordAuthentication no',
      'KbdInteractiveAuthentication no', 'StrictModes no', 'PermitRootLogin prohibit-password', 'AllowTcpForwarding yes', 'LogLevel INFO', '',
    ].join('\n'));
    const server = teardown.keep(() => new Program(site, tools.path.sshd, ['-D', '-e', '-f', file(`${site.name}.conf`)]));
    await server.line(/Server listening/);
    return port;
  };
  const jumpPort = await startServer(network.relay);
  const targetPort = await startServer(network.connector);
  const common = [`  User ${userInfo().username}`, `  IdentityFile ${file('user_key')}`, '  IdentitiesOnly yes', '  BatchMode yes', '  StrictHostKeyChecking no', '  UserKnownHostsFile /dev/null', '  LogLevel ERROR'];
  writeFileSync(file('config'), [
    'Host jump', `  HostName ${network.relay.host}`, `  Port ${jumpPort}`, ...common,
    'Host target', `  HostName ${network.connector.host}`, `  Port ${targetPort}`, '  ProxyJump jump', '  ExitOnForwardFailure yes', ...common, '',
  ].join('\n'), { mode: 0o600 });
  const local = new Map<number, number>();
  for (const port of ports) local.set(port, await freePort());
  const forwards = [...local].flatMap(([port, from]) => ['-L', `127.0.0.1:${from}:127.0.0.1:${port}`]);
  teardown.keep(() => new Program(network.agent, tools.path.ssh, ['-N', '-F', file('config'), ...forwards, 'target']));
  return { ok: true, local };
};
