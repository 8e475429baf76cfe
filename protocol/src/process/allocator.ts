// jemalloc in place of the C library's malloc, where the machine has it: a program that is to run for long starts itself over
// with it (docs/adr/0021-allocator.md). Also the package's entry `/allocator`, so that this can happen before anything else is loaded.

import { existsSync, readFileSync } from 'node:fs';
import { loadKoffi, type Koffi } from '../native/koffi.js';

/** Set to anything, the allocator stays as it is. A program that started over finds it set to `jemalloc`, and does so once only. */
export const ALLOCATOR_VARIABLE = 'ZTNA_ALLOCATOR';

/** Of the package `libjemalloc2`, or `jemalloc`. */
const LIBRARY = 'libjemalloc.so.2';

/** Debian's names of processors, each a folder of libraries. */
const TRIPLETS: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };

export interface AllocatorSurroundings {
  readonly platform: string;
  readonly arch: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether the parent talks to this process over a descriptor, which would be closed. */
  readonly hasChannel: boolean;
  readonly exists: (path: string) => boolean;
}

/**
 * The library to start over with; undefined to go on as we are. `LD_PRELOAD`, even empty, is the operator's own choice.
 *
 * @param surroundings where other than those of this process
 */
export const libraryToPreload = (surroundings: Partial<AllocatorSurroundings> = {}): string | undefined => {
  const { platform, arch, env, hasChannel, exists } = { ...ownSurroundings(), ...surroundings };
  const triplet = TRIPLETS[arch];
  if (platform !== 'linux' || triplet === undefined || hasChannel) return undefined;
  if (env[ALLOCATOR_VARIABLE] !== undefined || env.LD_PRELOAD !== undefined) return undefined;
  // Debian, Fedora, Arch.
  return [`/usr/lib/${triplet}/${LIBRARY}`, `/usr/lib64/${LIBRARY}`, `/usr/lib/${LIBRARY}`].find(exists);
};

const ownSurroundings = (): AllocatorSurroundings => {
  const { platform, arch, env, channel } = process;
  return { platform, arch, env, hasChannel: channel !== undefined, exists: existsSync };
};

/**
 * Starts the process over with jemalloc: same id, arguments and standard streams. Returns where that is not wanted or not
 * possible. Nothing may have been written or opened by then.
 */
export const preferJemalloc = async (): Promise<void> => {
  const library = libraryToPreload();
  if (library === undefined) return;
  const loaded = await loadKoffi();
  if (loaded.ok) startOver(loaded.koffi, { ...process.env, [ALLOCATOR_VARIABLE]: 'jemalloc', LD_PRELOAD: library });
};

/** Which one this process allocates from, by what is mapped into it. */
export const allocatorInUse = (): 'jemalloc' | 'system' => {
  try {
    return readFileSync('/proc/self/maps', 'latin1').includes('/libjemalloc.so') ? 'jemalloc' : 'system';
  } catch {
    return 'system';
  }
};

/** fcntl(2). */
const F_SETFD = 2;
const STANDARD_STREAMS = [0, 1, 2];

/** execve(2): does not return unless it fails, as where a filter of system calls forbids it. */
const startOver = (koffi: Koffi, env: NodeJS.ProcessEnv): void => {
  const libc = koffi.load(null);
  const fcntl = libc.func('fcntl', 'int', ['int', 'int', '...']);
  const execve = libc.func('execve', 'int', ['const char *', 'const char **', 'const char **']);
  // Node has every descriptor that it was given closed on execve.
  for (const fd of STANDARD_STREAMS) fcntl(fd, F_SETFD, 'int', 0);
  const args = [process.argv0, ...process.execArgv, ...process.argv.slice(1)];
  const variables = Object.entries(env).flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`));
  execve(process.execPath, [...args, null], [...variables, null]);
};
