// The options of `npm run soak`.

import t from 'tap';
import { parseSoakOptions } from './soak-options.js';

t.test('defaults are a bad but ordinary network, and ten minutes', async (t) => {
  t.strictSame(parseSoakOptions([], 99), {
    ok: true,
    options: { minutes: 10, seed: 99, loss: 0.01, reordering: 0.02, duplication: 0.01, delayMs: 5, idleOut: false },
  });
});

t.test('each can be chosen', async (t) => {
  const args = ['--minutes', '0.5', '--seed', '7', '--loss', '2.5', '--reorder', '0', '--duplicate', '3', '--delay', '40', '--idle-out'];
  t.match(parseSoakOptions(args, 99), { options: { minutes: 0.5, seed: 7, loss: 0.025, reordering: 0, duplication: 0.03, delayMs: 40, idleOut: true } });
  t.equal(parseSoakOptions(['--help'], 1).ok, 'help');
});

t.test('what cannot be is refused with its bounds, all of it at once', async (t) => {
  const refused = parseSoakOptions(['--minutes', 'ten', '--seed', '1.5', '--loss', '50'], 1);
  t.match(refused, { ok: false, reason: /--minutes is "ten".*from 0\.2[\s\S]*--seed is "1\.5".*whole[\s\S]*--loss is "50".*to 20/ });
  t.match(parseSoakOptions(['--minuets', '1'], 1), { ok: false, reason: /minuets/ });
});
