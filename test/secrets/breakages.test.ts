// Each wrong thing yields exactly its finding, in files and in manifests made by the real kubectl; and what a process
// refuses to start with, the script never passes.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { connectorSchema } from '@ztna/app-connector';
import { loadRelaySettings } from '@ztna/intermediate-server';
import { loadClientSettings, loadConfig, ZtnaError } from '@ztna/protocol';
import { BREAKAGES } from './breakages.js';
import { asFolder, asManifest, fileLabel, goodContent } from './deployment.js';
import { scratchFile } from './scratch.js';
import { summary, validate } from './validator.js';

/** Why a process would not start from the folder; undefined when both would. */
const refusal = (root: string): string | undefined => {
  try {
    loadRelaySettings(join(root, 'relay', 'relay.yaml'));
    const path = join(root, 'connector', 'connector.yaml');
    if (!existsSync(path)) return undefined;
    const { config } = loadConfig(path, connectorSchema);
    const { tls } = loadClientSettings('connector', config);
    return Object.keys(config.services).every((service) => tls.services.includes(service)) ? undefined : 'a service that the certificate does not name';
  } catch (error) {
    if (error instanceof ZtnaError) return error.message;
    throw error;
  }
};

t.test('a deployment in order has no findings, and every process would start', async (t) => {
  const content = goodContent();
  await t.test('in files', async (t) => {
    const root = asFolder(t, content);
    const verdict = await validate(t, ['--dir', root], { content });
    t.same(verdict.findings, []);
    t.equal(verdict.checked.length, 9, verdict.checked.join());
    t.equal(refusal(root), undefined);
  });
  await t.test('in a manifest', async (t) => {
    const manifest = asManifest(t, content);
    if (manifest === undefined) return;
    const verdict = await validate(t, ['--manifest', scratchFile(t, 'all.yaml', manifest)], { content });
    t.same(verdict.findings, []);
    t.same(verdict.skipped, []);
    t.equal(verdict.checked.length, 9, verdict.checked.join());
  });
});

for (const { title, change, findings, refused = true } of BREAKAGES) {
  t.test(`finds ${title}`, async (t) => {
    const content = goodContent();
    change(content);
    await t.test('in files', async (t) => {
      const root = asFolder(t, content);
      const verdict = await validate(t, ['--dir', root], { content });
      t.same(summary(verdict), findings.map(([object, key, check]) => `${fileLabel(object, key)}: ${check}`).sort(), JSON.stringify(verdict.findings));
      const why = refusal(root);
      t.equal(why !== undefined, refused, why ?? 'both processes would start');
      if (refused) t.ok(verdict.errors > 0, 'a refusal is an error');
    });
    await t.test('in a manifest', async (t) => {
      const manifest = asManifest(t, content);
      if (manifest === undefined) return;
      const verdict = await validate(t, ['--manifest', scratchFile(t, 'all.yaml', manifest)], { content });
      t.same(summary(verdict), findings.map(([object, key, check]) => `${object} ${key}: ${check}`).sort(), JSON.stringify(verdict.findings));
    });
  });
}
