// npm run abuse [-- --short | --list] [parts of names]: runs the attacks and prints the table. Exit code 0 only if
// all held. --list prints names and expectations as docs/abuse.md has them.

import { Owner } from './owner.js';
import { formatRow, listAttacks, summary } from './report.js';
import { runSuite } from './run-suite.js';

const args = process.argv.slice(2);
if (args.includes('--list')) {
  console.log(listAttacks());
  process.exit(0);
}
const owner = new Owner();
const only = args.filter((arg) => !arg.startsWith('--'));
try {
  const rows = await runSuite(owner, { intensity: args.includes('--short') ? 'short' : 'full', only, onRow: (row) => console.log(`${formatRow(row)}\n`) });
  // The counters are known only now: rows that looked well may not be.
  for (const row of rows) if (row.faults.length > 0) console.log(formatRow(row));
  console.log(summary(rows));
  process.exitCode = rows.length > 0 && rows.every(({ faults }) => faults.length === 0) ? 0 : 1;
} finally {
  await owner.end();
}
