// Properties of every decoder, on the code as it ships: whatever the bytes, and however a good input is changed,
// no throw, no read or write outside of the input, no more memory than its size allows, no promise broken.

import fc from 'fast-check';
import t from 'tap';
import { readFileSync } from 'node:fs';
import { Corpus } from '../engine/corpus.js';
import { examine } from '../engine/judge.js';
import { FUZZ_FOLDER, loadTarget, targetNames } from '../engine/load-targets.js';

const RUNS = 150;

for (const name of targetNames()) {
  t.test(`${name}: any bytes, and any change to a known input`, async (t) => {
    const target = await loadTarget(name);
    const known = [...target.seeds(), ...new Corpus(FUZZ_FOLDER, name).read()];
    t.ok(known.length > 0, 'there is something to begin with');
    for (const input of known) t.equal(examine(target, input), undefined, Buffer.from(input).toString('hex').slice(0, 80));

    const changed = fc.tuple(fc.constantFrom(...known), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }), fc.nat({ max: 2 * target.maxBytes }))
      .map(([input, changes, cut]) => {
        const bytes = input.slice(0, cut < target.maxBytes ? cut : undefined);
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: Math.min(target.maxBytes, 512) })), (input) => {
      const finding = examine(target, input);
      if (finding) throw new Error(`${finding.kind}: ${finding.detail}`);
    }), { numRuns: RUNS });
  });
}

t.test('the table of targets in fuzz/README.md is the targets', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const rows = [...readme.slice(readme.indexOf('## Targets')).matchAll(/^\| `([a-z-]+)` \| (.+?) \|/gm)].map(([, name, decodes]) => [name, decodes!.replaceAll('`', '')]);
  const targets = await Promise.all(targetNames().map(async (name) => [name, (await loadTarget(name)).decodes]));
  t.strictSame(rows, targets);
});
