// Stands in for the run-time base image: this machine's Node at /nodejs/bin/node, the shared libraries it and our native
// packages load, the user, and /tmp. No shell, no package manager, no other program: what works here works there.

import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The image's user: distroless's `nonroot`. */
export const IMAGE_USER = 65532;

/** What the distroless image of Node has (glibc, libgcc, libstdc++); nothing else may be needed. */
const BASE_LIBRARIES = /^(?:ld-linux.*|libc|libm|libdl|libpthread|librt|libresolv|libgcc_s|libstdc\+\+|libatomic)\.so/;

/** @throws {Error} when this machine's Node needs a library that the base image does not have, or is for another system */
export const createRuntimeRoot = (folder) => {
  if (process.platform !== 'linux') throw new Error('images are assembled on Linux: they hold this machine’s own Node');
  place(folder, '/nodejs/bin/node', realpathSync(process.execPath));
  for (const library of librariesOf(process.execPath)) {
    if (!BASE_LIBRARIES.test(library.slice(library.lastIndexOf('/') + 1))) throw new Error(`this Node needs ${library}, which the base image does not have: use Node's own build, from nodejs.org`);
    place(folder, library, realpathSync(library));
  }
  mkdirSync(join(folder, 'etc'), { recursive: true });
  writeFileSync(join(folder, 'etc', 'passwd'), `root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:${IMAGE_USER}:${IMAGE_USER}:nonroot:/home/nonroot:/sbin/nologin\n`);
  writeFileSync(join(folder, 'etc', 'group'), `root:x:0:\nnonroot:x:${IMAGE_USER}:\n`);
  mkdirSync(join(folder, 'tmp'));
  chmodSync(join(folder, 'tmp'), 0o1777);
};

/** Absolute paths, as the loader looks for them. */
const librariesOf = (program) => {
  const { status, stdout, stderr } = spawnSync('ldd', [program], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ldd ${program} failed: ${stderr}`);
  return [...stdout.matchAll(/(\/\S+) \(0x/g)].map(([, path]) => path);
};

const place = (folder, path, from) => {
  const to = join(folder, path);
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, 0o755);
};
