// Files that come to be watched while watching: a change right after is seen.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { WatchedFiles } from '@ztna/protocol';

t.test('a file is watched from the moment it is named: a change before the next look counts', async (t) => {
  const directory = t.testdir({});
  const [first, second, third] = ['first', 'second', 'third'].map((name) => join(directory, name)) as [string, string, string];
  writeFileSync(first, 'a');
  writeFileSync(second, 'a');
  let onChange: () => void = () => undefined;
  const watched = new WatchedFiles([first], () => onChange(), 5);
  t.teardown(() => watched.stop());
  // The watch itself keeps no process alive.
  const keepAlive = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(keepAlive));
  await watched.start();
  const changed = new Promise<void>((resolve) => (onChange = resolve));
  watched.setPaths([first, second]);
  writeFileSync(second, 'longer');
  await changed;
  const gone = new Promise<void>((resolve) => (onChange = resolve));
  watched.setPaths([first, second, third]);
  writeFileSync(third, 'it was not there');
  await gone;
});
