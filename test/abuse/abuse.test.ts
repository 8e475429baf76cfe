// Every attack of npm run abuse, each for half a second: what a relay that holds does was seen, each time.

import t from 'tap';
import { formatRow } from './report.js';
import { runSuite } from './run-suite.js';

const rows = await runSuite(t, { intensity: 'short', only: [], onRow: () => undefined });

t.ok(rows.length > 50, `${rows.length} attacks`);
for (const row of rows) {
  t.test(`holds against ${row.attack.name}: ${row.attack.expected}`, async (t) => {
    t.strictSame(row.faults, []);
    if (row.faults.length > 0) t.comment(formatRow(row));
  });
}
