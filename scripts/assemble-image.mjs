// npm run images [-- --out DIR] [WORKSPACE …]: carries out each Containerfile's steps on this machine, without a container
// builder. In DIR/WORKSPACE: `rootfs`, the image's root folder; `config.json`, its settings; `run`, which starts the process in
// there as the image's user and nothing else within reach (`healthcheck` likewise). Both need root, for chroot.

import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { baseImageOf, parseContainerfile } from './lib/containerfile.mjs';
import { readIgnoreFile } from './lib/ignore-file.mjs';
import { buildImage } from './lib/image-builder.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const ALL = ['intermediate-server', 'app-connector', 'agent', 'certs'];

const main = () => {
  const { positionals, values } = parseArgs({ allowPositionals: true, options: { out: { type: 'string', default: 'images' } } });
  const unknown = positionals.filter((name) => !ALL.includes(name));
  if (unknown.length > 0) throw new Error(`no such image: ${unknown.join(', ')}; there are ${ALL.join(', ')}`);
  const out = resolve(values.out);
  const ignored = readIgnoreFile(readFileSync(join(root, '.dockerignore'), 'utf8'));
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'ztna-images-'));
  try {
    const finished = new Map();
    for (const workspace of positionals.length > 0 ? positionals : ALL) assemble(workspace, { out, work, ignored, finished });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
};

const assemble = (workspace, { out, work, ignored, finished }) => {
  const file = `${workspace}/Containerfile`;
  try {
    const parsed = parseContainerfile(readFileSync(join(root, file), 'utf8'));
    const report = (line) => console.error(`${workspace}: ${line}`);
    const folder = buildImage(parsed, { context: root, ignored, work: join(work, workspace), finished, report });
    const target = join(out, workspace);
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    move(folder, join(target, 'rootfs'));
    writeSettings(target, baseImageOf(parsed, parsed.stages.at(-1)), parsed.stages.at(-1).settings);
    console.log(target);
  } catch (error) {
    throw new Error(`${file}: ${error.message}`, { cause: error });
  }
};

/** The temporary folder may be on another file system. */
const move = (from, to) => {
  try {
    renameSync(from, to);
  } catch (error) {
    if (error.code !== 'EXDEV') throw error;
    cpSync(from, to, { recursive: true, verbatimSymlinks: true });
  }
};

const writeSettings = (target, baseImage, settings) => {
  const { env = {}, user, entrypoint, cmd, healthcheck } = settings;
  if (!/^[1-9]\d*:[1-9]\d*$/.test(user ?? '')) throw new Error(`USER has to be numeric and not root, so that anybody can see so without the image: ${user}`);
  writeFileSync(join(target, 'config.json'), `${JSON.stringify({ baseImage, ...settings }, null, 2)}\n`);
  const start = (words) => `exec env -i ${quoted(Object.entries(env).map(([name, value]) => `${name}=${value}`))} "$(command -v chroot || echo /usr/sbin/chroot)" --userspec=${user} --groups=${user.split(':')[1]} "$(dirname "$0")/rootfs" ${quoted(words)}`;
  writeProgram(join(target, 'run'), `[ $# -gt 0 ] || set -- ${quoted(cmd)}\n${start(entrypoint)} "$@"`);
  if (healthcheck.command) writeProgram(join(target, 'healthcheck'), start(healthcheck.command));
};

const writeProgram = (path, text) => {
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
};

const quoted = (words) => words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');

try {
  main();
} catch (error) {
  console.error(error.message);
  process.exitCode = 2;
}
