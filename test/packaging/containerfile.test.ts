// What a Containerfile may say here: ours are all alike up to their own program, and the script that carries their steps
// out where there is no container builder does every one of them or refuses the file.

import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { ROOT } from '../harness/lab.js';
import { runTool, type Finished } from '../harness/tools.js';

const WORKSPACES = ['intermediate-server', 'app-connector', 'agent', 'certs'];
const PRODUCTION = 'FROM ${BUILD_IMAGE} AS production';
const JEMALLOC = 'FROM ${BUILD_IMAGE} AS jemalloc';
const RUNTIME = 'FROM ${RUNTIME_IMAGE}';
/** What runs for long has a better allocator with it (docs/adr/0021-allocator.md); certs does not. */
const hasAllocator = (workspace: string): boolean => workspace !== 'certs';
const sourceOf = (workspace: string): string => readFileSync(join(ROOT, workspace, 'Containerfile'), 'utf8');
const instructionsOf = (workspace: string): string[] => sourceOf(workspace).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

void t.test('the build stage of all Containerfiles is the same, so that one build serves all', async (t) => {
  const [first, ...others] = WORKSPACES.map((workspace) => {
    const lines = instructionsOf(workspace);
    return lines.slice(0, lines.indexOf(PRODUCTION)).join('\n');
  });
  t.match(first, /^RUN npm ci .*--ignore-scripts/m);
  for (const other of others) t.equal(other, first);
});

void t.test('what differs between them is the name of the program', async (t) => {
  const common = (workspace: string): string[] => {
    const lines = instructionsOf(workspace);
    const end = lines.findIndex((line) => line.startsWith('USER'));
    // All manifests are there, for npm to see the workspaces.
    const differing = lines.slice(0, end + 1).filter((line) => !line.startsWith('LABEL') && !/^COPY \S+\/package\.json /.test(line));
    return differing.map((line) => line.replaceAll(workspace, 'PROGRAM'));
  };
  const own = (workspace: string): string[] => common(workspace).slice(common(workspace).indexOf(PRODUCTION));
  const withoutAllocator = (lines: readonly string[]): string[] =>
    [...lines.slice(0, lines.indexOf(JEMALLOC)), ...lines.slice(lines.indexOf(RUNTIME))].filter((line) => !line.startsWith('COPY --from=jemalloc '));
  for (const workspace of WORKSPACES) t.strictSame(own(workspace), hasAllocator(workspace) ? own('agent') : withoutAllocator(own('agent')), workspace);
});

void t.test('both base images are arguments with a tag other than latest', async (t) => {
  for (const workspace of WORKSPACES) {
    const bases = [...sourceOf(workspace).matchAll(/^ARG \w+_IMAGE=(\S+)$/gm)].map(([, image]) => image!);
    t.equal(bases.length, 2);
    for (const image of bases) t.match(image, /^[\w.-]+\/[\w./-]+:(?!latest)[\w.-]+$/);
    t.strictSame([...sourceOf(workspace).matchAll(/^FROM (\S+)/gm)].map(([, base]) => base), [...Array<string>(hasAllocator(workspace) ? 3 : 2).fill('${BUILD_IMAGE}'), '${RUNTIME_IMAGE}']);
  }
});

void t.test('the manifests run images that the Containerfiles say how to build', async (t) => {
  const built = WORKSPACES.map((workspace) => / -t (\S+) \./.exec(sourceOf(workspace))?.[1]);
  const base = join(ROOT, 'k8s', 'base');
  const manifests = readdirSync(base, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml')).map((name) => readFileSync(join(base, name), 'utf8'));
  const images = manifests.flatMap((text) => [...text.matchAll(/^ *(?:- )?image: (ztna\/\S+)$/gm)].map(([, image]) => image!));
  t.ok(images.length >= 3, 'relay, connector, and the connector beside the sample app');
  for (const image of images) t.ok(built.includes(image), image);
});

/** A repository of nothing but a Containerfile, the scripts and an ignore file. */
const assemble = async (t: Test, containerfile: string, { ignore = '', files = {} }: { ignore?: string; files?: Record<string, string> } = {}): Promise<Finished & { out: string }> => {
  const folder = mkdtempSync(join(tmpdir(), 'ztna-containerfile-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'scripts'));
  cpSync(join(ROOT, 'scripts', 'lib'), join(folder, 'scripts', 'lib'), { recursive: true });
  copyFileSync(join(ROOT, 'scripts', 'assemble-image.mjs'), join(folder, 'scripts', 'assemble-image.mjs'));
  for (const [path, text] of Object.entries({ 'agent/Containerfile': containerfile, '.dockerignore': ignore, ...files })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const out = join(folder, 'out');
  return { ...(await runTool(process.execPath, [join(folder, 'scripts', 'assemble-image.mjs'), '--out', out, 'agent'])), out };
};

const TAIL = 'USER 65532:65532\nHEALTHCHECK NONE\nENTRYPOINT ["/nodejs/bin/node"]\nCMD ["--version"]\n';

void t.test('steps are carried out in order, each stage on what its base left', { skip: process.platform === 'linux' ? false : 'Linux only' }, async (t) => {
  const text = 'ARG A_IMAGE=a/b:1\nFROM ${A_IMAGE} AS one\nWORKDIR /work\nCOPY data data/\nRUN cat data/a \\\n  data/sub/b > both\nFROM one AS two\nRUN cat both both > twice\nFROM c/d:2\nWORKDIR /app\nCOPY --from=two /work/twice /work/data/a ./\n';
  const { exit, stderr, out } = await assemble(t, text + TAIL, { ignore: '# none\n**/*.key\n', files: { 'data/a': 'A', 'data/sub/b': 'B', 'data/sub/x.key': 'secret' } });
  t.equal(exit, 0, stderr);
  t.equal(readFileSync(join(out, 'agent', 'rootfs', 'app', 'twice'), 'utf8'), 'ABAB');
  t.equal(readFileSync(join(out, 'agent', 'rootfs', 'app', 'a'), 'utf8'), 'A');
});

const REFUSED: readonly [what: string, text: string, says: RegExp][] = [
  ['an instruction it does not carry out', 'FROM a AS b\nADD x y\n', /line 2: ADD x y: is an instruction that is not supported/],
  ['an argument inside a stage', 'FROM a AS b\nARG X=1\n', /arguments come before the first FROM/],
  ['options of COPY that it would ignore', 'FROM a AS b\nCOPY --chown=1 x y\n', /COPY --chown=1 x y: is not/],
  ['a command that needs a shell in the image', 'FROM a AS b\nCMD node main.js\n', /there is no shell in the image/],
  ['a command with an absolute path, which would be this machine’s', 'FROM a AS b\nRUN rm -r /etc/ztna\n', /names an absolute path/],
  ['a file that the ignore file keeps out', 'FROM a AS b\nCOPY hidden.key ./\n', /there is no hidden\.key/],
  ['a command that fails, with its output', 'FROM a AS b\nRUN echo because; exit 3\n', /exited with 3\nbecause/],
  ['an image that would run as root', 'FROM a\nUSER 0:0\nHEALTHCHECK NONE\nENTRYPOINT ["x"]\nCMD ["y"]\n', /not root/],
];

for (const [what, text, says] of REFUSED)
  void t.test(`refuses ${what}`, { skip: process.platform === 'linux' ? false : 'Linux only' }, async (t) => {
    const { exit, stderr } = await assemble(t, text, { ignore: '*.key\n', files: { 'hidden.key': 'x' } });
    t.equal(exit, 2);
    t.match(stderr, says);
  });

void t.test('an ignore pattern that it does not know is an error, not a file too many', async (t) => {
  const { exit, stderr } = await assemble(t, 'FROM a\n', { ignore: '!keep\n' });
  t.equal(exit, 2);
  t.match(stderr, /!keep is a pattern that is not supported/);
});
