// One minute of `npm run soak`, as CI runs it.

import { join } from 'node:path';
import t from 'tap';
import { ROOT } from '../harness/lab.js';
import { runTool } from '../harness/tools.js';

t.setTimeout(300_000);

t.test('a minute of churn, kills and packet loss loses nothing and leaves nothing behind', async (t) => {
  const main = join(ROOT, 'test', 'dist-test', 'soak', 'main.js');
  const { exit, stdout, stderr } = await runTool(process.execPath, [main, '--minutes', '1'], { timeoutMs: 280_000 });
  const lines = stdout.toString().trimEnd().split('\n');
  t.comment(stdout.toString());
  t.equal(stderr, '');
  t.match(lines.at(-1), /^soak: \d+ flows, \d+ bytes, 0 lost, 0 leaked$/);
  t.equal(exit, 0);
  const [flows = 0, bytes = 0] = (/^soak: (\d+) flows, (\d+) bytes/.exec(lines.at(-1)!) ?? []).slice(1).map(Number);
  t.ok(flows > 100 && bytes > 2 ** 20, `${flows} flows, ${bytes} bytes: enough to mean something`);
  const last = lines.filter((line) => line.includes('faults: ')).at(-1);
  t.match(last, /faults: [1-9]\d* kill, [1-9]\d* terminate, [1-9]\d* rebind/);
});
