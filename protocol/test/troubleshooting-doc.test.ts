// docs/troubleshooting.md against the code: every failure code has its row, once, and no other has.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { FAILURE_CODES } from '@ztna/protocol';

const page = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8');
const numbered = page.slice(0, page.indexOf('## Faults on this machine'));

void t.test('the tables name exactly the failure codes, in their order', async (t) => {
  const codes = [...numbered.matchAll(/^\| `(\w+)` \|/gm)].map(([, code]) => code);
  t.strictSame(codes, Object.keys(FAILURE_CODES));
});
