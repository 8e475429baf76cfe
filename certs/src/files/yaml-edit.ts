// Changes a YAML file of the relay's in place, so that a reader sees the old or the new: comments and order stay, and of
// two commands at once the second is refused. What the change is, and what makes it valid, is the caller's.

import { ZtnaError } from '@ztna/protocol';
import { createFile, existing, moveIntoPlace, readTextFile } from './secret-file.js';

export interface YamlEdit {
  /** Permission bits of a new file, and of one that is replaced. */
  readonly mode: number;
  /** The new text, or undefined to leave the file as it is. `current` is empty for a file that is not there. */
  readonly edit: (current: string) => string | undefined;
}

/**
 * @returns whether the file was changed
 * @throws ZtnaError `file_locked` while another command changes it; `file_unreadable`, `file_unwritable`, and what `edit` throws
 */
export const editYamlFile = (path: string, { mode, edit }: YamlEdit): boolean => {
  const lock = `${path}.lock`;
  let unchanged = false;
  try {
    createFile(lock, mode, () => {
      const owner = existing(path);
      if (owner?.isSymbolicLink()) throw new ZtnaError('file_unwritable', `${path} is a symbolic link; name the file it points at`);
      const text = edit(owner ? readTextFile(path).text : '');
      // createFile takes the lock away again for whatever is thrown here.
      unchanged = text === undefined;
      if (text === undefined) throw new ZtnaError('usage', 'nothing to change');
      return { text, owner };
    });
  } catch (cause) {
    if (unchanged) return false;
    if (!(cause instanceof ZtnaError) || cause.code !== 'file_exists') throw cause;
    throw new ZtnaError('file_locked', `${path} is being changed by another command; if none is running, remove ${lock}`, { cause });
  }
  moveIntoPlace(lock, path);
  return true;
};
