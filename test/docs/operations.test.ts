// docs/operations.md, word for word: its commands run in a folder that stands for the machines, and the relay, connector and
// agent that they set up pass traffic. What only a real machine has (apt, systemctl, users, sysctl) is recorded instead.

import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { unusedPort } from '../harness/tcp.js';
import { requireTool, runTool, type Finished } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';

const page = readFileSync(join(ROOT, 'docs', 'operations.md'), 'utf8');
const blocks = (kind: string): string[] => [...page.matchAll(/^```sh (\w+)\n([\s\S]*?)^```$/gm)].filter(([, found]) => found === kind).map(([, , text]) => text!);

const PROGRAMS = { 'intermediate-server': 'intermediate-server', 'app-connector': 'app-connector', 'ztna-agent': 'agent', 'ztna-certs': 'certs' } as const;
/** Run by hand on a real machine only; each call is written down. */
const RECORDED = ['systemctl', 'systemd-sysusers', 'sysctl', 'chgrp', 'nft'];
const KINDS = ['install', 'build', 'admin', 'host', 'relay', 'connector', 'agent', 'logs', 'upgrade', 'rotate', 'images'];

/** One machine: a folder with its own /etc and home, and the programs on the PATH. */
class Machine {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    for (const name of ['bin', 'home', 'etc/sysctl.d', 'var/lib/ztna-relay', 'here']) mkdirSync(join(folder, name), { recursive: true });
    for (const [command, workspace] of Object.entries(PROGRAMS)) this.#program(command, `exec ${process.execPath} ${join(ROOT, workspace, 'dist', 'main.js')} "$@"`);
    for (const command of RECORDED) this.#program(command, `echo ${command} "$@" >> ${join(folder, 'recorded')}`);
    // Users of services are not on this machine: owner and group are left out.
    this.#program('install', 'args=(); while (($#)); do case $1 in -o|-g) shift 2 ;; *) args+=("$1"); shift ;; esac; done; exec /usr/bin/install "${args[@]}"');
  }

  /** `text` with this folder in place of / for what it changes, in the folder `where`. */
  run(text: string, where = join(this.folder, 'here')): Promise<Finished> {
    const here = text.replace(/(^|[\s'"=])\/(etc|var\/lib)\//gm, (_match, before: string, top: string) => `${before}${this.folder}/${top}/`);
    return runTool('env', ['-i', `HOME=${join(this.folder, 'home')}`, `PATH=${join(this.folder, 'bin')}:/usr/bin:/bin`, 'bash', '--norc', '--noprofile', '-euo', 'pipefail', '-c', `cd '${where}'\n${here}`]);
  }

  path(...names: string[]): string {
    return join(this.folder, ...names);
  }

  #program(name: string, text: string): void {
    const path = join(this.folder, 'bin', name);
    writeFileSync(path, `#!/bin/bash\n${text}\n`);
    chmodSync(path, 0o755);
  }
}

const succeeds = async (t: Test, machine: Machine, text: string, where?: string): Promise<void> => {
  const { exit, stdout, stderr } = await machine.run(text, where);
  t.equal(exit, 0, `${text.split('\n', 1).join('')}: ${stdout.toString()}${stderr}`.slice(0, 500));
};

void t.test('every block of commands says where it is run', async (t) => {
  t.strictSame([...page.matchAll(/^```(\S.*)?$/gm)].map(([, label]) => label).filter((label) => label !== undefined && !KINDS.map((kind) => `sh ${kind}`).includes(label)), []);
  for (const kind of KINDS) t.ok(blocks(kind).length > 0, kind);
});

void t.test('the commands of the page set up an overlay that passes traffic', { skip: process.platform === 'linux' ? false : 'the page is for Debian' }, async (t) => {
  if (!requireTool(t, 'openssl') || !requireTool(t, 'bash')) return;
  const folder = t.testdir({});
  const admin = new Machine(join(folder, 'admin'));
  writeFileSync(admin.path('home', 'backup-passphrase'), 'a passphrase for a test\n');
  // One shell, as the page means it: later blocks use $O.
  await succeeds(t, admin, blocks('admin').join('\n'));
  t.ok(statSync(admin.path('home', 'ca-backup.enc')).size > 1000);

  const backend = await startWebBackend(t);
  const [relayPort, agentPort, ...health] = await Promise.all([0, 1, 2, 3].map(() => unusedPort()));
  /** Ports and names of the page, for this machine. */
  const local = (text: string): string =>
    text.replaceAll('0.0.0.0:4433', `127.0.0.1:${relayPort!}`).replaceAll('relay.corp.example:4433', `127.0.0.1:${relayPort!}`).replaceAll('127.0.0.1:8080', backend.address)
      .replaceAll('127.0.0.1:8081', `127.0.0.1:${agentPort!}`).replaceAll('127.0.0.1:9433', `127.0.0.1:${health[0]!}`).replaceAll('127.0.0.1:9434', `127.0.0.1:${health[1]!}`);

  const setUp = async (kind: string, files: string[]): Promise<Machine> => {
    const machine = new Machine(join(folder, kind));
    for (const file of files) cpSync(admin.path('home', 'corp-overlay', file), machine.path('here', file));
    for (const block of blocks(kind)) await succeeds(t, machine, local(block));
    for (const file of files.filter((name) => /\.(key|regkey)$|^keyring/.test(name))) t.notOk(existsSync(machine.path('here', file)), `${file} was shredded`);
    return machine;
  };
  const relay = await setUp('relay', ['ca.crt', 'relay-1.crt', 'relay-1.key', 'keyring.yaml']);
  for (const block of blocks('host')) await succeeds(t, relay, block, ROOT);
  const connector = await setUp('connector', ['ca.crt', 'office.crt', 'office.key', 'office.regkey']);
  const agent = await setUp('agent', ['ca.crt', 'alice.crt', 'alice.key', 'alice.regkey']);
  t.match(readFileSync(relay.path('recorded'), 'utf8'), /^systemctl enable --now ztna-intermediate-server$/m);
  t.match(readFileSync(relay.path('recorded'), 'utf8'), /^systemd-sysusers /m);

  const processes = [
    new ManagedProcess(relay.path('bin', 'intermediate-server'), ['run', '-c', relay.path('etc', 'ztna', 'relay', 'relay.yaml')]),
    new ManagedProcess(connector.path('bin', 'app-connector'), ['run', '-c', connector.path('etc', 'ztna', 'connector', 'connector.yaml')]),
    new ManagedProcess(agent.path('bin', 'ztna-agent'), ['up', '-c', agent.path('home', '.config', 'ztna', 'agent.yaml')]),
  ];
  t.teardown(async () => {
    for (const process of processes.reverse()) await process.stop();
  });
  await processes[0]!.waitFor('listening');
  await Promise.all([processes[1]!.waitFor('registered'), processes[2]!.waitFor('registered')]);
  t.equal(await (await fetch(`http://127.0.0.1:${agentPort!}/hello`)).text(), 'hello from behind');
  t.ok(existsSync(relay.path('var', 'lib', 'ztna-relay', 'relay.journal')), 'the journal is where the unit lets it be');
  const [, checkHealth] = /^`(intermediate-server health -c \S+)`/m.exec(page)!;
  t.match(await relay.run(checkHealth!), { exit: 0, stdout: Buffer.from('ready\n') });
});

void t.test('the units of the page run the files that the page makes', async (t) => {
  for (const [unit, config] of [['ztna-intermediate-server', '/etc/ztna/relay/relay.yaml'], ['ztna-app-connector', '/etc/ztna/connector/connector.yaml']] as const) {
    const text = readFileSync(join(ROOT, 'packaging', 'systemd', `${unit}.service`), 'utf8');
    t.match(text, new RegExp(`^ExecStart=\\S+ run -c ${config}$`, 'm'));
    t.match(page, `cat > ${config} <<`);
    const user = /^User=(\S+)$/m.exec(text)![1]!;
    t.match(page, `install -o ${user} -g ${user} -m 0600`);
  }
});

void t.test('the firewall of the page is one that nft takes', async (t) => {
  const nft = requireTool(t, 'nft');
  if (!nft) return;
  if (process.getuid?.() !== 0) return t.plan(0, 'nft asks the kernel, which answers root only');
  const checked = await runTool(nft, ['--check', '--file', join(ROOT, 'packaging', 'nftables', 'ztna-relay.nft')]);
  if (/Operation not permitted|Protocol not supported/.test(checked.stderr)) return t.plan(0, 'this kernel or container has no nftables');
  t.match(checked, { exit: 0, stderr: '' });
});

void t.test('what the page names exists: images, links, metrics, packages', async (t) => {
  const [image] = blocks('images');
  t.ok(existsSync(join(ROOT, /-f (\S+)/.exec(image!)![1]!)));
  for (const [, link] of page.matchAll(/\]\(((?!http)[^)#]+)/g)) t.ok(existsSync(join(ROOT, 'docs', link!)), link!);
  const metrics = readFileSync(join(ROOT, 'docs', 'metrics.md'), 'utf8');
  for (const [, name] of page.matchAll(/`(ztna_\w+)[`{]/g)) t.match(metrics, `\`${name!}\``, name!);
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  for (const [, stated] of page.matchAll(/ztna-[\w-]+-(\d+\.\d+\.\d+)\.tgz/g)) t.equal(stated, version);
  for (const block of [...blocks('install'), ...blocks('upgrade')].filter((text) => text.includes('npm install'))) t.match(block, '--global --prefix /usr/local --ignore-scripts ./');
});
