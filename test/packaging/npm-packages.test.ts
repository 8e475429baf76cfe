// The tarballs of `npm run pack`, installed globally into an empty prefix: they hold what they should and nothing else, run
// without the repository, and bring the versions that package-lock.json names.

import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT, type Lab } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { patternBytes } from '../harness/pattern.js';
import { runTool, type Finished } from '../harness/tools.js';
import { startPackedOverlay, stopInOrder, type Program } from './overlay-of.js';

const COMMANDS = { 'intermediate-server': 'intermediate-server', 'app-connector': 'app-connector', agent: 'ztna-agent', certs: 'ztna-certs' } as const;
const WORKSPACES = Object.keys(COMMANDS) as (keyof typeof COMMANDS)[];
const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version;
const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: Record<string, { version?: string }> };

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly license: string;
  readonly engines: { readonly node: string };
  readonly dependencies: Readonly<Record<string, string>>;
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

    t.test(`${command} is licensed, asks for Node 20 and for nothing of our scope, and for exact versions only`, async (t) => {
      const { license, engines, dependencies, optionalDependencies, version, ...rest } = manifestAt(folder);
      t.match({ license, engines, version }, { license: 'Apache-2.0', engines: { node: '>=20' }, version: VERSION });
      t.equal(rest.private, undefined);
      t.ok(existsSync(join(folder, 'LICENSE')) && existsSync(join(folder, 'README.md')));
      const direct = Object.entries({ ...dependencies, ...optionalDependencies });
      t.ok(direct.length > 5);
      for (const [name, wanted] of direct) t.equal(wanted, lock.packages[`node_modules/${name}`]?.version, name);
      t.strictSame(direct.filter(([name]) => name.startsWith('@ztna/')), []);
    });

    t.test(`${command} ships what runs: no sources, declarations, maps or tests`, async (t) => {
      const files = filesIn(folder).filter((file) => !file.startsWith('node_modules/'));
      t.ok(files.includes('dist/main.js') && files.includes('dist/node_modules/@ztna/protocol/dist/index.js'));
      t.strictSame(files.filter((file) => !/\.js$|(^|\/)package\.json$|^(LICENSE|README\.md|npm-shrinkwrap\.json)$/.test(file)), []);
      t.strictSame(files.filter((file) => /(^|\/)(test|testing|dist-test|src)\//.test(file)), []);
    });

    if (workspace !== 'agent')
      t.test(`${command} brings the versions of the lock file, below the first level too`, async (t) => {
        const found = filesIn(join(folder, 'node_modules')).filter((file) => /^((@[^/]+\/)?[^/]+)(\/node_modules\/(@[^/]+\/)?[^/]+)*\/package\.json$/.test(file));
        t.ok(found.length > 20, `${found.length} packages`);
        for (const file of found) {
          const place = `node_modules/${dirname(file)}`;
          const { version } = JSON.parse(readFileSync(join(folder, 'node_modules', file), 'utf8')) as Manifest;
          t.equal(version, lock.packages[place]?.version, place);
        }
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

  t.test('a dependency that is not what the lock file hashed is refused', async (t) => {
    const other = join(work, 'other');
    cpSync(installedAt('certs'), other, { recursive: true, filter: (path) => path !== join(installedAt('certs'), 'node_modules') });
    const shrinkwrap = join(other, 'npm-shrinkwrap.json');
    const content = readFileSync(shrinkwrap, 'utf8');
    const [, hash] = /"node_modules\/commander": \{[^}]*?"integrity": "sha512-([^"]+)"/.exec(content)!;
    writeFileSync(shrinkwrap, content.replace(hash!, hash!.replace(/^./, (first) => (first === 'A' ? 'B' : 'A'))));
    const packed = await runTool('npm', ['pack', '--ignore-scripts', '--pack-destination', work, other]);
    t.equal(packed.exit, 0, packed.stderr);
    const refused = await npmInstall(join(work, 'refusing'), tarballOf('certs'));
    t.not(refused.exit, 0);
    t.match(refused.stderr, /EINTEGRITY/);
  });
});

function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
}
