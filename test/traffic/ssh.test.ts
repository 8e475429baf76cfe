// A real ssh and a real sshd, with `ztna-agent connect` as ProxyCommand: commands, copies, refusals.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import t, { type Test } from 'tap';
import { ManagedProcess } from '../harness/managed-process.js';
import { AGENT, allFlowsClosed, startOverlay } from '../harness/overlay.js';
import { patternBytes } from '../harness/pattern.js';
import { unusedPort } from '../harness/tcp.js';
import { requireTool, runTool, type Finished, type RunOptions } from '../harness/tools.js';
import type { Lab } from '../harness/lab.js';

const COPY_BYTES = 20 * 1024 * 1024;
/** A third of the outer idle timeout, after which the relay would have noticed by itself. */
const GOODBYE_MS = 10_000;
/** Where Debian's sshd, run by root, separates privileges; its service unit would make it. */
const PRIVILEGE_DIRECTORY = '/run/sshd';

const tools = ['ssh', 'sshd', 'ssh-keygen', 'scp'].map((name) => requireTool(t, name));
const [ssh, sshd, keygen, scp] = tools;
if (ssh && sshd && keygen && scp) {
  const port = await unusedPort();
  const { lab, connector } = await startOverlay(t, { 'ssh-box': { backend: `127.0.0.1:${port}` } });
  await startSshd(t, lab, port, sshd, keygen);
  const proxy = lab.connectCommand(AGENT, 'ssh-box').map((word) => `'${word}'`).join(' ');
  const options = [
    '-F', 'none', '-i', lab.path('user_key'), '-o', `ProxyCommand=${proxy}`, '-o', `UserKnownHostsFile=${lab.path('known_hosts')}`,
    '-o', 'StrictHostKeyChecking=yes', '-o', 'BatchMode=yes', '-o', 'IdentitiesOnly=yes', '-o', 'ConnectTimeout=30',
  ];
  const onBox = (command: string, run: RunOptions = {}): Promise<Finished> => runTool(ssh, [...options, 'box', command], run);

  t.test('ssh runs a command and passes its exit code on', async (t) => {
    const { exit, stdout, stderr } = await onBox('echo from the box; exit 7');
    t.same({ exit, said: stdout.toString() }, { exit: 7, said: 'from the box\n' }, stderr);
  });

  t.test('the end of ssh ends its flow at once, not when the connection idles out', async (t) => {
    const started = performance.now();
    await onBox('true');
    await allFlowsClosed(connector);
    const took = performance.now() - started;
    t.ok(took < GOODBYE_MS, `all flows were closed ${Math.round(took)} ms after ssh was started`);
  });

  t.test('standard input reaches a remote command up to its end', async (t) => {
    const { exit, stdout, stderr } = await onBox('wc -c', { input: Buffer.alloc(100_000) });
    t.same({ exit, said: stdout.toString().trim() }, { exit: 0, said: '100000' }, stderr);
  });

  t.test('ssh copies 20 MiB intact both ways', async (t) => {
    const bytes = patternBytes(3, COPY_BYTES);
    const path = lab.path('copied');
    const up = await onBox(`cat > '${path}'`, { input: bytes });
    t.equal(up.exit, 0, up.stderr);
    t.ok(readFileSync(path).equals(bytes), 'up');
    const down = await onBox(`cat '${path}'`);
    t.equal(down.exit, 0, down.stderr);
    t.ok(down.stdout.equals(bytes), 'down');
  });

  t.test('scp copies 20 MiB intact both ways', async (t) => {
    const bytes = patternBytes(4, COPY_BYTES);
    writeFileSync(lab.path('original'), bytes);
    const up = await runTool(scp, ['-q', ...options, lab.path('original'), `box:${lab.path('there')}`]);
    t.equal(up.exit, 0, up.stderr);
    const down = await runTool(scp, ['-q', ...options, `box:${lab.path('there')}`, lab.path('back')]);
    t.equal(down.exit, 0, down.stderr);
    t.ok(readFileSync(lab.path('there')).equals(bytes) && readFileSync(lab.path('back')).equals(bytes));
  });

  t.test('connect says why a service is refused and fails', async (t) => {
    const [node, ...args] = lab.connectCommand(AGENT, 'nowhere');
    const { exit, stdout, stderr } = await runTool(node!, args);
    t.equal(exit, 1);
    t.equal(stdout.length, 0, 'nothing on standard output');
    t.match(stderr, /^ztna-agent: service_unknown: nowhere: .+\n$/);
  });
}

/** A throw-away sshd for the user who runs the tests: own host key, own authorized_keys, no PAM. */
async function startSshd(t: Test, lab: Lab, port: number, sshd: string, keygen: string): Promise<void> {
  for (const key of ['host_key', 'user_key']) await runTool(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', lab.path(key)]);
  lab.write('authorized_keys', lab.read('user_key.pub'));
  lab.write('known_hosts', `box ${lab.read('host_key.pub')}`);
  if (userInfo().uid === 0) mkdirSync(PRIVILEGE_DIRECTORY, { recursive: true, mode: 0o755 });
  const config = [
    'ListenAddress 127.0.0.1', `Port ${port}`, `HostKey ${lab.path('host_key')}`, `AuthorizedKeysFile ${lab.path('authorized_keys')}`, 'PidFile none',
    'UsePAM no', 'StrictModes no', 'PasswordAuthentication no', 'PermitRootLogin prohibit-password', 'Subsystem sftp internal-sftp', '',
  ];
  const server = lab.keep(new ManagedProcess(sshd, ['-D', '-e', '-f', lab.write('sshd_config', config.join('\n'))]));
  await server.waitForLine(/Server listening on 127\.0\.0\.1/);
  t.equal(server.hasExited, false, 'sshd is up');
}
