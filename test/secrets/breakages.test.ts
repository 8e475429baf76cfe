// Each wrong thing yields exactly its finding, in files and in manifests made by the real kubectl; and what a process
// refuses to start with, the script never passes.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { connectorSchema } from '@ztna/app-connector';
import { loadRelaySettings } from '@ztna/intermediate-server';
import { loadClientSettings, loadConfig, ZtnaError } from '@ztna/protocol';
import { BREAKAGES } from './breakages.js';
import { asFolder, asManifest, fileLabel, goodContent, REGISTRATION, registrationKey, RELAY_CONFIG, RELAY_KEYRING, RELAY_TLS } from './deployment.js';
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

// As keygen of earlier versions wrote them.
t.test('a registration key that does not say its scope has no findings', async (t) => {
  const content = goodContent();
  const [withoutScope] = content[REGISTRATION]!['registration.yaml']!.split('scope:');
  content[REGISTRATION] = { 'registration.yaml': withoutScope! };
  const root = asFolder(t, content);
  t.same((await validate(t, ['--dir', root], { content })).findings, []);
  t.equal(refusal(root), undefined);
});

t.test('where the keyring is not at hand, the key says itself what it may register', async (t) => {
  const content = goodContent(registrationKey({ scope: { role: 'connector', identities: '*', services: ['web'] } }));
  for (const object of [RELAY_TLS, RELAY_KEYRING, RELAY_CONFIG]) delete content[object];
  const { findings } = await validate(t, ['--dir', asFolder(t, content)], { content });
  t.match(findings, [{ severity: 'warning', object: 'connector/registration.yaml', check: 'registration', finding: /may not register the service ssh-box/ }]);
  t.equal(findings.length, 1);
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
