// The search for secrets that every lab of the suite ends with: it would find one, wherever a process shows it.

import { randomBytes } from 'node:crypto';
import t, { type Test } from 'tap';
import { Lab } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';

const SECRET = randomBytes(32).toString('base64');

/** A process with a health port that answers each path with this. */
const careless = async (t: Test, answers: Readonly<Record<string, string>>, logged = ''): Promise<{ lab: Lab; process: ManagedProcess }> => {
  const lab = Lab.at(t.testdir({}));
  lab.write('relay-1.key', `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----\n`);
  const script = lab.write(
    'careless.mjs',
    `import { createServer } from 'node:http';
     const say = (event, fields) => process.stderr.write(JSON.stringify({ level: 'info', name: 'careless', event, ...fields }) + '\\n');
     const answers = ${JSON.stringify(answers)};
     const server = createServer((request, response) => response.end(answers[request.url] ?? ''));
     server.listen(0, '127.0.0.1', () => say('health_listening', { address: '127.0.0.1:' + server.address().port, tls: false, said: ${JSON.stringify(logged)} }));`,
  );
  const process = lab.run(script, []);
  t.teardown(() => process.stop());
  await process.waitFor('health_listening');
  return { lab, process };
};

t.test('a secret in the label of a metric is found', async (t) => {
  const { lab } = await careless(t, { '/metrics': `ztna_relay_connections{key="${SECRET}"} 1\n` });
  await t.rejects(lab.finish(), /showed a secret/);
});

t.test('so is one that readiness or liveness tells', async (t) => {
  for (const path of ['/readyz', '/healthz']) {
    const { lab } = await careless(t, { [path]: JSON.stringify({ reason: SECRET }) });
    await t.rejects(lab.finish(), /showed a secret/, path);
  }
});

t.test('so is one in a line that the test itself has forgotten', async (t) => {
  const { lab, process } = await careless(t, {}, SECRET);
  process.forgetEvents();
  await t.rejects(lab.finish(), /showed a secret/);
});

t.test('where nothing is shown nothing is found', async (t) => {
  const { lab } = await careless(t, { '/metrics': 'ztna_relay_connections 1\n', '/readyz': '{}' });
  await t.resolves(lab.finish());
});

t.test('a real relay is asked with its token and over its TLS, and shows its metrics and no secret', async (t) => {
  const lab = Lab.create(t);
  const token = randomBytes(24).toString('base64url');
  lab.write('metrics.token', token);
  const relay = await lab.startRelay([], { extra: { health: { listen: '127.0.0.1:0', tls: true, token: 'metrics.token' } } });
  await relay.waitFor('health_listening');
  await relay.askHealth();
  t.match(relay.shown, /ztna_relay_connections 0/);
  t.match(relay.shown, /"status":"ready"/);
  t.notMatch(relay.shown, token);
});
