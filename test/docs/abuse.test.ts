// docs/abuse.md against the code: every attack is in its table, with what is expected, and no other.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listAttacks } from '../abuse/report.js';
import { ROOT } from '../harness/lab.js';

t.test('docs/abuse.md lists every attack with what is expected of the relay', async (t) => {
  const rows = readFileSync(join(ROOT, 'docs', 'abuse.md'), 'utf8').split('\n').filter((line) => line.startsWith('|'));
  t.strictSame(rows, listAttacks().split('\n'));
});
