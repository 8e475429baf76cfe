// Every attack of npm run abuse, each for half a second: what a relay that holds does was seen, each time. Only
// the one that waits a minute for a token to expire is left out: protocol/test/quic/retry-tokens.test.ts turns the clock.

import t from 'tap';
import { formatRow } from './report.js';
import { runSuite } from './run-suite.js';

// A minute on two idle processors; tap's own 30 s are for one file that is run by hand.
t.setTimeout(180_000);
const rows = await runSuite(t, { intensity: 'short', only: [], onRow: () => undefined });

t.ok(rows.length > 50, `${rows.length} attacks`);
for (const row of rows) {
  t.test(`holds against ${row.attack.name}: ${row.attack.expected}`, async (t) => {
    t.strictSame(row.faults, []);
    if (row.faults.length > 0) t.comment(formatRow(row));
  });
}
