// Arbitrary manifests and files: the script ends, soon, with exit code 0, 1 or 2 and one JSON document.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { asManifest, CONNECTOR_TLS, goodContent, REGISTRATION, RELAY_KEYRING, RELAY_TLS } from './deployment.js';
import { scratch } from './scratch.js';
import { runScript } from './validator.js';

const judge = async (t: Test, args: readonly string[], input: Uint8Array | undefined, content = goodContent()): Promise<void> => {
  const { exit, stdout, stderr } = await runScript(t, ['--json', ...args], { content, ...(input ? { input: Buffer.from(input) } : {}) });
  if (exit !== 0 && exit !== 1 && exit !== 2) throw new Error(`exit ${exit}: ${stderr}`);
  if (exit !== 2 && stderr !== '') throw new Error(`unexpected messages: ${stderr}`);
  JSON.parse(stdout);
};

t.test('random bytes as a manifest', async (t) => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), (bytes) => judge(t, ['--manifest', '-'], bytes)), { numRuns: 25 });
});

t.test('a good manifest with bytes changed, lines lost and doubled', async (t) => {
  const content = goodContent();
  const manifest = asManifest(t, content);
  if (manifest === undefined) return;
  const good = Buffer.from(manifest);
  const lines = manifest.split('\n');
  const mutation = fc.oneof(
    fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Buffer.concat([good.subarray(0, at), Buffer.from([byte]), good.subarray(at + 1)])),
    fc.nat(lines.length - 1).map((at) => Buffer.from(lines.filter((_, index) => index !== at).join('\n'))),
    fc.nat(lines.length - 1).map((at) => Buffer.from(lines.flatMap((line, index) => (index === at ? [line, line] : [line])).join('\n'))),
    fc.nat(good.length).map((length) => good.subarray(0, length)),
  );
  await fc.assert(fc.asyncProperty(mutation, (bytes) => judge(t, ['--manifest', '-'], bytes, content)), { numRuns: 40 });
});

t.test('random and damaged content of every file', async (t) => {
  const content = goodContent();
  const originals = [content[RELAY_TLS]!['tls.crt']!, content[RELAY_TLS]!['tls.key']!, content[RELAY_KEYRING]!['keyring.yaml']!, content[REGISTRATION]!['registration.yaml']!, content[CONNECTOR_TLS]!['tls.crt']!].map((text) => Buffer.from(text));
  const damaged = fc.tuple(fc.constantFrom(...originals), fc.nat(), fc.nat(255)).map(([original, at, byte]) => {
    const copy = Buffer.from(original);
    copy[at % copy.length] = byte;
    return copy;
  });
  const file = fc.oneof(damaged, fc.uint8Array({ maxLength: 300 }));
  const names = ['ca.crt', 'tls.crt', 'tls.key', 'keyring.yaml', 'registration.yaml', 'connector.yaml'];
  await fc.assert(
    fc.asyncProperty(fc.array(file, { minLength: names.length, maxLength: names.length }), async (files) => {
      const folder = scratch(t);
      files.forEach((bytes, index) => writeFileSync(join(folder, names[index]!), bytes, { mode: 0o600 }));
      await judge(t, ['--dir', folder], undefined);
    }),
    { numRuns: 30 },
  );
});
