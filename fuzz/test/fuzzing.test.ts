// A bounded search in every target, from its whole corpus: what `npm run fuzz` does for as long as one likes.

import t from 'tap';
import { FUZZ_FOLDER, instrumentTargets, targetNames } from '../engine/load-targets.js';
import { runSession } from '../engine/session.js';

/** Of searching. With the replay some 20 s for all targets together, on a machine with nothing else to do. */
const SECONDS = 0.5;
/** Another search each day, the same all day. */
const SEED = Math.floor(Date.now() / 86_400_000);

const instrumented = instrumentTargets();
t.teardown(() => instrumented.remove());
// A test leaves nothing in the repository; its message has the input.
const crashes = t.testdir();

for (const name of targetNames())
  t.test(`${name}: the corpus and ${SECONDS} s of searching from it, seed ${SEED}, break nothing`, async (t) => {
    const report = await runSession({ name, target: await instrumented.load(name), folder: FUZZ_FOLDER, crashes, seconds: SECONDS, seed: SEED });
    t.strictSame(report.crashes.map(({ input, finding }) => ({ ...finding, input: Buffer.from(input).toString('base64') })), []);
    t.ok(report.edges > 5, `${report.edges} edges: the code is instrumented`);
    t.ok(report.execs > report.inputs, `${report.execs} execs, ${Math.round(report.execsPerSecond)}/s, ${report.inputs} inputs`);
  });
