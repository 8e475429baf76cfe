// The images, assembled by their Containerfiles' own steps: what is in them, and an overlay whose processes run inside, as
// the image's user, with nothing else in reach. What a Containerfile may say is containerfile.test.ts.

import { chownSync, copyFileSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT, type Lab } from '../harness/lab.js';
import { ManagedProcess } from '../harness/managed-process.js';
import { patternBytes } from '../harness/pattern.js';
import { requireTool, runTool } from '../harness/tools.js';
import { CONFIG, startPackedOverlay, stopInOrder, type Program } from './overlay-of.js';

const IMAGES = ['intermediate-server', 'app-connector', 'agent', 'certs'] as const;
const USER = 65532;
/** Where each image looks for its configuration. */
const INSIDE = { 'intermediate-server': '/etc/ztna/relay.yaml', 'app-connector': '/etc/ztna/connector.yaml', agent: '/etc/ztna/agent.yaml' } as const;
const { version: VERSION } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };

/** What the manifests give the relay to write to; everything else is read-only, /tmp too. */
const STATE = '/var/lib/ztna';
const AS_KUBERNETES = `mount --bind "$1" "$1"; mount -t tmpfs -o uid=${USER},mode=0700 none "$1${STATE}"; mount -o remount,bind,ro "$1"; exec "$0"`;

interface Settings {
  readonly baseImage: string;
  readonly label: Readonly<Record<string, string>>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly healthcheck: 'NONE' | { readonly command: readonly string[] };
}

interface Sbom {
  readonly bomFormat: string;
  readonly metadata: { readonly component: { readonly name: string } };
  readonly components: readonly { readonly purl: string; readonly hashes?: readonly { readonly alg: string; readonly content: string }[] }[];
}

const out = mkdtempSync(join(tmpdir(), 'ztna-images-test-'));
t.teardown(() => rmSync(out, { recursive: true, force: true }));
const rootOf = (image: string): string => join(out, image, 'rootfs');
const settingsOf = (image: string): Settings => JSON.parse(readFileSync(join(out, image, 'config.json'), 'utf8')) as Settings;

/** chroot wants root, and there is no other way to start a program with nothing else in reach. */
const canEnter = (t: Test): boolean => {
  if (process.getuid?.() === 0) return requireTool(t, 'chroot') !== undefined;
  t.plan(0, 'only root can enter a root folder');
  return false;
};

void t.test('images', { skip: process.platform === 'linux' ? false : 'images are assembled on Linux' }, async (t) => {
  const assembled = await runTool(process.execPath, [join(ROOT, 'scripts', 'assemble-image.mjs'), '--out', out], { timeoutMs: 220_000 });
  t.equal(assembled.exit, 0, assembled.stderr);

  for (const image of IMAGES) {
    t.test(`the image of ${image} has no shell, no other program and nothing its user could change`, async (t) => {
      const files = entriesOf(rootOf(image));
      t.strictSame(files.filter(({ path }) => /^(usr\/)?s?bin\//.test(path)), []);
      t.strictSame(files.filter(({ path }) => /^(sh|bash|dash|busybox|npm|npx|corepack|curl|wget|apt(-get)?)$/.test(basename(path))), []);
      const writable = files.filter(({ mode, uid, isLink }) => !isLink && (uid !== 0 || (mode & 0o022) !== 0 || (mode & 0o6000) !== 0));
      t.strictSame(writable.map(({ path }) => path), process.getuid?.() === 0 ? ['tmp'] : writable.map(({ path }) => path));
    });

    t.test(`the image of ${image} holds one program, what it needs at run time, and no tests, sources or secrets`, async (t) => {
      const app = join(rootOf(image), 'app');
      t.strictSame(readdirSync(app).sort(), ['LICENSE', image, 'node_modules', 'protocol', 'sbom.cdx.json'].sort());
      t.strictSame(readdirSync(join(app, image)).sort(), ['bin', 'dist', 'package.json']);
      t.strictSame(readdirSync(join(app, 'protocol')).sort(), ['dist', 'package.json']);
      t.notOk(existsSync(join(app, 'protocol', 'dist', 'testing')));
      for (const tool of ['typescript', 'tap', 'eslint', '@types']) t.notOk(existsSync(join(app, 'node_modules', tool)), tool);
      const files = entriesOf(rootOf(image)).map(({ path }) => path);
      t.strictSame(files.filter((path) => /\.(ts|map|tsbuildinfo|key|regkey|pem|crt)$/.test(path)), []);
    });

    t.test(`the bill of materials of ${image} lists exactly the packages in it, with the hashes of the lock file`, async (t) => {
      const sbom = JSON.parse(readFileSync(join(rootOf(image), 'app', 'sbom.cdx.json'), 'utf8')) as Sbom;
      t.equal(sbom.bomFormat, 'CycloneDX');
      t.equal(sbom.metadata.component.name, `@ztna/${image}`);
      t.strictSame(sbom.components.map(({ purl }) => purl).sort(), [...installedIn(join(rootOf(image), 'app')), `pkg:npm/%40ztna/protocol@${VERSION}`].sort());
      for (const { purl, hashes } of sbom.components.filter(({ purl }) => !purl.includes('%40ztna'))) t.match(hashes, [{ alg: 'SHA-512', content: /^[0-9a-f]{128}$/ }], purl);
    });

    t.test(`the image of ${image} needs no library that its base image lacks`, async (t) => {
      const natives = entriesOf(join(rootOf(image), 'app')).map(({ path }) => join(rootOf(image), 'app', path)).filter((path) => path.endsWith('.node') && path.includes('linux-x64'));
      t.ok(natives.length >= 2, 'QUIC and koffi');
      for (const native of natives.filter((path) => !path.includes('musl'))) {
        const { exit, stdout } = await runTool('ldd', [native]);
        t.equal(exit, 0, native);
        const needed = [...stdout.toString().matchAll(/^\s*(\S+?)(?:\.so)\S*\s/gm)].map(([, name]) => basename(name!));
        t.strictSame(needed.filter((name) => !/^(linux-vdso|ld-linux-x86-64|libc|libm|libdl|libpthread|librt|libgcc_s|libstdc\+\+)$/.test(name)), [], native);
      }
    });

    t.test(`the settings of ${image}: not root, started without a shell, checked by the program itself`, async (t) => {
      const { user, entrypoint, cmd, healthcheck, label, baseImage } = settingsOf(image);
      t.equal(user, `${USER}:${USER}`);
      t.match(baseImage, /:nonroot$/);
      t.equal(label['org.opencontainers.image.version'], VERSION);
      t.ok(statSync(join(rootOf(image), entrypoint[0]!)).mode & 0o111);
      t.ok(existsSync(join(rootOf(image), entrypoint[1]!)));
      if (image === 'certs') t.equal(healthcheck, 'NONE');
      else {
        t.strictSame(cmd.slice(1), ['-c', INSIDE[image]]);
        t.match(healthcheck, { command: [...entrypoint, 'health', '-c', INSIDE[image]] });
      }
    });
  }

  t.test('ztna-certs says its version in its image', async (t) => {
    if (canEnter(t)) t.match(await runTool(join(out, 'certs', 'run'), ['--version']), { exit: 0, stdout: Buffer.from(`${VERSION}\n`) });
  });

  t.test('an overlay of the three images passes traffic with read-only roots, is healthy by its own account, and stops when told', async (t) => {
    if (!canEnter(t)) return;
    // A container without the right to mount can still run the images, with roots that their user cannot write to either.
    const canMount = (await runTool('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/tmp'])).exit === 0;
    if (!canMount) t.comment('no mounts here: the roots are not read-only');
    const start = (program: Program, _args: readonly string[], lab: Lab): ManagedProcess => {
      mount(lab, program);
      // No arguments and no environment: the image's own command.
      const run = join(out, program, 'run');
      return canMount ? new ManagedProcess('unshare', ['--mount', 'sh', '-euc', AS_KUBERNETES, run, rootOf(program)], { cwd: '/' }) : new ManagedProcess(run, [], { cwd: '/' });
    };
    const overlay = await startPackedOverlay(t, start, { relay: { journal: join(STATE, 'relay.journal') } });
    if (canMount) {
      for (const { pid } of [overlay.relay, overlay.connector, overlay.agent]) t.strictSame(writableMounts(pid), [STATE]);
      t.notOk(overlay.relay.events.some(({ event }) => event === 'journal_unwritable'));
      t.ok(existsSync(`/proc/${overlay.relay.pid}/root${STATE}/relay.journal`));
    }
    t.match(await overlay.relay.waitFor('listening'), { udp: 'batched' });
    const response = await overlay.fetch('/bytes/11/1000000');
    t.ok(Buffer.from(await response.arrayBuffer()).equals(patternBytes(11, 1_000_000)), 'byte for byte');
    for (const { pid } of [overlay.relay, overlay.connector, overlay.agent]) t.match(readFileSync(`/proc/${pid}/status`, 'utf8'), new RegExp(`^Uid:\\t${USER}\\t${USER}\\t${USER}\\t${USER}\nGid:\\t${USER}\\t`, 'm'));
    for (const image of Object.keys(INSIDE)) t.match(await runTool(join(out, image, 'healthcheck'), []), { exit: 0, stdout: Buffer.from('ready\n') }, image);
    t.strictSame(await stopInOrder(overlay), [0, 0, 0]);
    for (const image of Object.keys(INSIDE)) t.match(await runTool(join(out, image, 'healthcheck'), []), { exit: 1 }, image);
  });
});

/** The lab's files at /etc/ztna, owned by the image's user, as a mounted volume would be; the program's own configuration under the image's name. */
function mount(lab: Lab, program: Program): void {
  const folder = join(rootOf(program), 'etc', 'ztna');
  mkdirSync(folder, { recursive: true });
  // As a container runtime makes the folders that something is mounted to.
  mkdirSync(join(rootOf(program), STATE), { recursive: true });
  for (const file of readdirSync(lab.directory)) {
    const target = join(folder, file === CONFIG[program] ? basename(INSIDE[program]) : file);
    copyFileSync(lab.path(file), target);
    chownSync(target, USER, USER);
  }
}

/** Within the process's root. */
function writableMounts(pid: number): string[] {
  const mounts = readFileSync(`/proc/${pid}/mounts`, 'utf8').trim().split('\n').map((line) => line.split(' '));
  return mounts.filter(([, , , options]) => !options!.split(',').includes('ro')).map(([, path]) => path!);
}

function installedIn(app: string): string[] {
  const places = entriesOf(join(app, 'node_modules')).map(({ path }) => path).filter((path) => /^((@[^/]+\/)?[^/]+\/)(node_modules\/(@[^/]+\/)?[^/]+\/)*package\.json$/.test(path));
  return places.map((path) => {
    const { name, version } = JSON.parse(readFileSync(join(app, 'node_modules', path), 'utf8')) as { name: string; version: string };
    return `pkg:npm/${name.replace('@', '%40')}@${version}`;
  });
}

/** Everything below a folder, links not followed. */
function entriesOf(folder: string): { path: string; mode: number; uid: number; isLink: boolean }[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const full = join(entry.parentPath ?? entry.path, entry.name);
    const { mode, uid } = lstatSync(full);
    return { path: full.slice(folder.length + 1), mode, uid, isLink: entry.isSymbolicLink() };
  });
}
