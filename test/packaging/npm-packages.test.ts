// The tarballs of `npm run pack`, installed globally into an empty prefix: they hold what they should and nothing else, run
// without the repository, and hold what package-lock.json names.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT, type Lab } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { patternBytes } from '../harness/pattern.js';
import { runTool, type Finished } from '../harness/tools.js';
import { CONFIG, startPackedOverlay, stopInOrder, type Program } from './overlay-of.js';

const COMMANDS = { 'intermediate-server': 'intermediate-server', 'app-connector': 'app-connector', agent: 'ztna-agent', certs: 'ztna-certs' } as const;
const WORKSPACES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[];
const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, Locked> };
/** Of a package, not of a folder inside one. */
const PACKAGE_FILE = /^(node_modules\/(@[^/]+\/)?[^/]+\/)+package\.json$/;

interface Locked {
  readonly version?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly license: string;
  readonly engines: { readonly node: string };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
}

// Outside the repository: Node looks for packages in every folder above, and would find the repository's own.
const work = mkdtempSync(join(tmpdir(), 'ztna-packages-'));
t.teardown(() => rmSync(work, { recursive: true, force: true }));
const prefix = join(work, 'prefix');
const tarballOf = (workspace: string): string => join(work, `ztna-${workspace}-${VERSION}.tgz`);
const installedAt = (workspace: string, under = prefix): string => join(under, 'lib', 'node_modules', '@ztna', workspace);
const manifestAt = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;

const npmInstall = (into: string, ...tarballs: string[]): Promise<Finished> =>
  runTool('npm', ['install', '--global', '--prefix', into, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', ...tarballs]);

const bareEnvironment = ['-i', `PATH=${join(prefix, 'bin')}:${dirname(process.execPath)}:/usr/bin:/bin`];
const run = (...command: string[]): Promise<Finished> => runTool('env', [...bareEnvironment, ...command]);
const start = (program: Program, args: readonly string[], lab: Lab): ManagedProcess =>
  new ManagedProcess('env', [...bareEnvironment, COMMANDS[program], ...args], { cwd: lab.directory });

const passesTraffic = async (t: Test, expectedUdp: string): Promise<void> => {
  const overlay = await startPackedOverlay(t, start);
  for (const [program, file] of Object.entries(CONFIG)) t.match(await run(COMMANDS[program as Program], 'check', '-c', overlay.lab.path(file)), { exit: 0 }, program);
  t.match(await overlay.relay.waitFor('listening'), { udp: expectedUdp });
  const response = await overlay.fetch('/bytes/7/1000000');
  t.ok(Buffer.from(await response.arrayBuffer()).equals(patternBytes(7, 1_000_000)), 'byte for byte');
  t.strictSame(await stopInOrder(overlay), [0, 0, 0]);
};

void t.test('npm packages', async (t) => {
  const packed = await runTool(process.execPath, [join(ROOT, 'scripts', 'pack.mjs'), '--out', work]);
  t.equal(packed.exit, 0, packed.stderr);
  t.strictSame(packed.stdout.toString().trim().split('\n').sort(), WORKSPACES.map(tarballOf).sort());
  const installed = await npmInstall(prefix, ...WORKSPACES.map(tarballOf));
  t.equal(installed.exit, 0, installed.stderr);

  for (const workspace of WORKSPACES) {
    const folder = installedAt(workspace);
    const command = COMMANDS[workspace];

    t.test(`${command} says its version`, async (t) => {
      t.strictSame({ ...(await run(command, '--version')), stderr: '' }, { exit: 0, stdout: Buffer.from(`${VERSION}\n`), stderr: '' });
    });

    t.test(`${command} is licensed, asks for Node 20, and asks the registry for native packages only, by exact version`, async (t) => {
      const { license, engines, dependencies, optionalDependencies, version, ...rest } = manifestAt(folder);
      t.match({ license, engines, version }, { license: 'Apache-2.0', engines: { node: '>=20' }, version: VERSION });
      t.equal(rest.private, undefined);
      t.ok(existsSync(join(folder, 'LICENSE')) && existsSync(join(folder, 'README.md')));
      t.equal(dependencies, undefined);
      const asked = Object.entries(optionalDependencies);
      t.ok(asked.some(([name]) => name === 'koffi') && asked.some(([name]) => name === '@matrixai/quic-linux-x64'));
      t.strictSame(asked.filter(([name, wanted]) => !/^(koffi|@matrixai\/quic-\w+-\w+)$/.test(name) || !/^\d+\.\d+\.\d+$/.test(wanted)), []);
    });

    t.test(`${command} ships what runs: no sources, declarations, maps or tests`, async (t) => {
      const files = filesIn(folder).filter((file) => !file.startsWith('node_modules/'));
      t.ok(files.includes('dist/main.js') && files.includes('dist/node_modules/@ztna/protocol/dist/index.js'));
      t.strictSame(files.filter((file) => /\.(map|[cm]?ts|tsbuildinfo)$|(^|\/)(test|tests|testing|dist-test)\//.test(file)), []);
      t.strictSame(files.filter((file) => !file.includes('node_modules/') && !/\.js$|^(package\.json|LICENSE|README\.md)$/.test(file)), []);
    });

    t.test(`${command} holds what package-lock.json says it needs, in that version, and no native code`, async (t) => {
      const inside = filesIn(join(folder, 'dist')).filter((file) => file.startsWith('node_modules/') && !file.startsWith('node_modules/@ztna/'));
      const places = inside.filter((file) => PACKAGE_FILE.test(file)).map((file) => dirname(file));
      t.strictSame(places.sort(), neededPlaces(workspace));
      for (const place of places) t.equal(manifestAt(join(folder, 'dist', place)).version, lock.packages[place]!.version, place);
      t.strictSame(inside.filter((file) => /\.(node|so|dylib|dll|wasm)$/.test(file)), []);
    });
  }

  t.test('ztna-certs makes a CA, a certificate and a registration key', async (t) => {
    const pki = join(work, 'pki');
    const commands = [
      ['init', '--dir', pki, '--trust-domain', 'example.test'],
      ['issue', 'agent', 'alice', '--dir', pki],
      ['keygen', '--key-id', 'alice', '--role', 'agent', '--identity', 'alice', '--out', pki, '--keyring', join(pki, 'keyring.yaml')],
      ['inspect', join(pki, 'alice.crt')],
    ];
    for (const command of commands) t.match(await run('ztna-certs', ...command), { exit: 0 }, command[0]!);
  });

  t.test('a relay, a connector and an agent check their configuration and pass traffic', async (t) => {
    await passesTraffic(t, process.platform === 'linux' ? 'batched' : 'plain');
  });

  t.test('without koffi, which is optional, they pass traffic too', async (t) => {
    for (const workspace of WORKSPACES) rmSync(join(installedAt(workspace), 'node_modules', 'koffi'), { recursive: true });
    await passesTraffic(t, 'plain');
  });

  t.test('without the QUIC library of this system each says so in one line, and exits with 2', async (t) => {
    for (const workspace of WORKSPACES) {
      rmSync(join(installedAt(workspace), 'node_modules', '@matrixai'), { recursive: true });
      const { exit, stderr } = await run(COMMANDS[workspace], '--version');
      t.equal(exit, 2);
      t.match(stderr, new RegExp(`^${COMMANDS[workspace]}: the QUIC library for ${process.platform} ${process.arch} is not installed\\. .*\\n$`));
    }
  });
});

/** Everything at the top of node_modules that can be reached without an optional step; our lock file nests nothing of it. */
function neededPlaces(workspace: string): string[] {
  const places = new Set<string>();
  const visit = (entry: Locked): void => {
    for (const name of Object.keys(entry.dependencies ?? {})) {
      const place = name === '@ztna/protocol' ? 'protocol' : `node_modules/${name}`;
      if (places.has(place)) continue;
      places.add(place);
      visit(lock.packages[place]!);
    }
  };
  visit(lock.packages[workspace]!);
  places.delete('protocol');
  return [...places].sort();
}

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
}
