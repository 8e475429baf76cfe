// Volumes of a pod as a kubelet lays them out, in a folder that stands for the container's root: each file a link through
// `..data` to a folder that is replaced as a whole, secrets root's and of the pod's group.

import { chmodSync, chownSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Layout {
  /** Where the volume is, on this machine. */
  readonly directory: string;
  /** Of each file. */
  readonly mode: number;
  readonly fsGroup: number;
}

/** Only root can give files away; anybody else's tests have files of their own, which no group may read. */
export const IS_ROOT = process.getuid?.() === 0;

/** kubelet's atomic writer: what a reader has open stays as it was, and the next look finds the new files, all of them. */
export const writeVolume = ({ directory, mode, fsGroup }: Layout, files: Readonly<Record<string, Buffer>>): void => {
  mkdirSync(directory, { recursive: true });
  const old = readdirSync(directory).filter((name) => /^\.\.\d/.test(name));
  const payload = `..${Date.now()}_${old.length}`;
  mkdirSync(join(directory, payload));
  // `SetVolumeOwnership` adds reading for owner and group to a read-only volume, whatever its mode was.
  for (const [name, content] of Object.entries(files)) writeOwned(join(directory, payload, name), content, { mode: IS_ROOT ? mode | 0o440 : mode, fsGroup });
  own(join(directory, payload), 0o2755, fsGroup);
  symlinkSync(payload, join(directory, '..data_tmp'));
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'));
  for (const name of Object.keys(files)) {
    rmSync(join(directory, name), { force: true });
    symlinkSync(join('..data', name), join(directory, name));
  }
  for (const name of old) rmSync(join(directory, name), { recursive: true });
};

/** An emptyDir: everybody's, as a kubelet makes it, and of the pod's group. */
export const writeEmptyDirectory = (directory: string, fsGroup: number): void => {
  mkdirSync(directory, { recursive: true });
  own(directory, 0o2777, fsGroup);
};

const writeOwned = (path: string, content: Buffer, { mode, fsGroup }: Pick<Layout, 'mode' | 'fsGroup'>): void => {
  writeFileSync(path, content);
  own(path, mode, fsGroup);
};

const own = (path: string, mode: number, group: number): void => {
  if (IS_ROOT) chownSync(path, 0, group);
  chmodSync(path, mode);
};
