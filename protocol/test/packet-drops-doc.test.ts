// docs/wire-format.md against the code: every packet drop reason has its row, in order, and no other has.

import { readFileSync } from 'node:fs';
import t from 'tap';
import { PACKET_DROP_REASONS } from '@ztna/protocol';

const page = readFileSync(new URL('../../docs/wire-format.md', import.meta.url), 'utf8');

void t.test('the table of packet drop reasons names exactly those the endpoint counts', async (t) => {
  const start = page.indexOf('## Packets that reach no connection');
  const section = page.slice(start, page.indexOf('\n### ', start + 1));
  t.strictSame([...section.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason), [...PACKET_DROP_REASONS]);
});
