// `health`: what a container's health check runs. And the configurations that a health port is refused with.

import { createServer, type Socket } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { stringify } from 'yaml';
import { relaySchema } from '@ztna/intermediate-server';
import { parseConfig } from '@ztna/protocol';
import { Lab, ROOT } from '../harness/lab.js';
import { fetchHealth } from '../harness/scrape.js';
import { unusedPort } from '../harness/tcp.js';
import { TOKEN } from './health-port.js';

const RELAY = join(ROOT, 'intermediate-server', 'dist', 'main.js');
const CONNECTOR = join(ROOT, 'app-connector', 'dist', 'main.js');
const AGENT = join(ROOT, 'agent', 'dist', 'main.js');

interface Run {
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

const run = async (lab: Lab, script: string, ...args: string[]): Promise<Run> => {
  const process = lab.run(script, args);
  const exit = await process.exited;
  return { exit, stdout: process.stdout.toString(), stderr: process.log };
};

const prepare = (t: Test): Lab => {
  const lab = Lab.create(t);
  lab.enrol('connector', 'connector-1', ['web']);
  lab.enrol('agent', 'alice');
  lab.write('metrics.token', `${TOKEN}\n`);
  return lab;
};

void t.test('health asks the relay: 0 when ready, 1 when not or when nobody answers', async (t) => {
  const lab = prepare(t);
  const listen = `127.0.0.1:${await unusedPort()}`;
  const relay = await lab.startRelay([], { extra: { health: { listen, token: 'metrics.token' }, drainTimeout: '20s' } });
  await relay.waitFor('health_listening');
  t.strictSame(await run(lab, RELAY, 'health', '-c', 'relay-1.yaml'), { exit: 0, stdout: 'ready\n', stderr: '' });
  t.strictSame(await run(lab, RELAY, 'health', '--live', '-c', 'relay-1.yaml'), { exit: 0, stdout: 'alive\n', stderr: '' });
  await relay.stop();
  for (const live of [[], ['--live']]) {
    const { exit, stdout } = await run(lab, RELAY, 'health', ...live, '-c', 'relay-1.yaml');
    t.equal(exit, 1);
    t.match(stdout, new RegExp(`^no answer from ${listen}: .*ECONNREFUSED`));
  }
});

void t.test('health over TLS insists on the process of this certificate, whichever file it came from', async (t) => {
  const lab = prepare(t);
  const listen = `0.0.0.0:${await unusedPort()}`;
  const relay = await lab.startRelay([], { extra: { health: { listen, tls: true, token: 'metrics.token' } } });
  await relay.waitFor('health_listening', { tls: true });
  t.match(await run(lab, RELAY, 'health', '-c', 'relay-1.yaml'), { exit: 0, stdout: 'ready\n' });
  // Another identity's configuration that happens to name the same port.
  lab.issue('relay', 'relay-2');
  lab.write('relay-2.yaml', lab.read('relay-1.yaml').replaceAll('relay-1.', 'relay-2.'));
  const other = await run(lab, RELAY, 'health', '-c', 'relay-2.yaml');
  t.equal(other.exit, 1);
  t.match(other.stdout, /^no answer .*the server is not spiffe:\/\/example\.test\/relay\/relay-2/);
});

void t.test('health tells what a connector and an agent wait for, with the token from the file', async (t) => {
  const lab = prepare(t);
  await (await lab.startRelay([])).kill();
  const health = async (): Promise<object> => ({ health: { listen: `127.0.0.1:${await unusedPort()}`, token: 'metrics.token' } });
  const connector = lab.runConnector('connector-1', { web: { backend: `127.0.0.1:${await unusedPort()}` } }, await health());
  await connector.waitFor('health_listening');
  const asked = await run(lab, CONNECTOR, 'health', '-c', 'connector-1.yaml');
  t.equal(asked.exit, 1);
  t.match(asked.stdout, /^not ready: registered: no relay has accepted the registration; backend web: \S/);
  t.match(await run(lab, CONNECTOR, 'health', '--live', '-c', 'connector-1.yaml'), { exit: 0, stdout: 'alive\n' });

  const agent = lab.runAgent('alice', [{ service: 'web' }], await health());
  await agent.process.waitFor('listening');
  t.match(await run(lab, AGENT, 'health', '-c', 'alice.yaml'), { exit: 1, stdout: 'not ready: registered: no relay has accepted the registration\n' });
  lab.startRelay([], { port: lab.relayPort }).catch(() => undefined);
  await agent.process.waitFor('registered');
  t.match(await run(lab, AGENT, 'health', '-c', 'alice.yaml'), { exit: 0, stdout: 'ready\n' });
});

void t.test('health gives up on a port that accepts and says nothing, or never stops', async (t) => {
  const lab = prepare(t);
  lab.issue('relay', 'relay-1');
  for (const talk of [() => undefined, (socket: Socket) => void setInterval(() => socket.write('HTTP/1.1 '), 100).unref()]) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      talk(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.teardown(() => server.close());
    const { port } = server.address() as { port: number };
    lab.write('relay.yaml', stringify({ ...relayConfig(lab), health: { listen: `127.0.0.1:${port}` } }));
    const { exit, stdout } = await run(lab, RELAY, 'health', '-c', 'relay.yaml');
    t.equal(exit, 1);
    t.match(stdout, /^no answer/);
  }
});

void t.test('health without a health section, or with port 0, is a fault of the configuration: exit 2', async (t) => {
  const lab = prepare(t);
  lab.issue('relay', 'relay-1');
  lab.write('relay.yaml', stringify(relayConfig(lab)));
  t.match(await run(lab, RELAY, 'health', '-c', 'relay.yaml'), { exit: 2, stderr: /no `health` section/ });
  lab.write('relay.yaml', stringify({ ...relayConfig(lab), health: { listen: '127.0.0.1:0' } }));
  t.match(await run(lab, RELAY, 'health', '-c', 'relay.yaml'), { exit: 2, stderr: /port 0/ });
});

void t.test('the configuration refuses metrics that a network could read, and says what would do', async (t) => {
  const lab = prepare(t);
  const faults = (health: object): string => {
    const parsed = parseConfig(stringify({ ...relayConfig(lab), health }), relaySchema, lab.directory);
    return parsed.ok ? '' : parsed.faults.map(({ keyPath, problem }) => `${keyPath}: ${problem}`).join('\n');
  };
  const open = /^health\.listen: .*must be a loopback address, as whoever reaches it could read \/metrics; else set `token`, or `clients` with `tls`, or `metrics: false`/;
  for (const listen of ['0.0.0.0:9433', '[::]:9433', '192.0.2.1:9433', '[2001:db8::1]:9433', '[::ffff:192.0.2.1]:9433']) t.match(faults({ listen }), open, listen);
  for (const health of [
    {},
    { listen: '127.8.0.1:9433' },
    { listen: '[::1]:9433' },
    { listen: '0.0.0.0:9433', token: 'metrics.token' },
    { listen: '0.0.0.0:9433', metrics: false },
    { listen: '0.0.0.0:9433', tls: true, clients: ['agent/prometheus'] },
  ]) t.equal(faults(health), '', JSON.stringify(health));
  t.match(faults({ clients: ['agent/prometheus'] }), /^health\.clients: .*must come with `tls: true`/);
  t.match(faults({ clients: ['prometheus'], tls: true }), /must be <role>\/<name>/);
});

void t.test('check refuses a token file that is none, or that others can read, and does not repeat it', async (t) => {
  const lab = prepare(t);
  lab.issue('relay', 'relay-1');
  lab.write('policy.yaml', 'rules: []\n');
  lab.write('keyring.yaml', 'keys: []\n');
  lab.write('spaced.token', `${TOKEN} and more`);
  lab.write('open.token', TOKEN, 0o644);
  const cases: Record<string, RegExp> = { 'metrics.token': /^$/, 'spaced.token': /spaced\.token must hold a token on one line/, 'open.token': /chmod 600/, 'none.token': /no such file/ };
  for (const [token, message] of Object.entries(cases)) {
    lab.write('relay.yaml', stringify({ ...relayConfig(lab), health: { token } }));
    const { exit, stderr } = await run(lab, RELAY, 'check', '-c', 'relay.yaml');
    t.equal(exit, token === 'metrics.token' ? 0 : 2);
    t.match(stderr, message, token);
    t.notOk(stderr.includes(TOKEN), 'what the file holds is not repeated');
  }
});

void t.test('a health port that is taken ends each process with exit code 2, and says so', async (t) => {
  const lab = prepare(t);
  const taken = createServer();
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.teardown(() => taken.close());
  const extra = { health: { listen: `127.0.0.1:${(taken.address() as { port: number }).port}` } };
  await lab.startRelay([]);
  lab.write('relay.yaml', stringify({ ...relayConfig(lab), ...extra }));
  const starts = [lab.run(RELAY, ['run', '-c', 'relay.yaml']), lab.runConnector('connector-1', { web: { backend: '127.0.0.1:1' } }, extra), lab.runAgent('alice', [{ service: 'web' }], extra).process];
  for (const process of starts) {
    t.equal(await process.exited, 2);
    t.match(process.log, /TCP 127\.0\.0\.1:\d+ is already in use/);
  }
});

void t.test('without a health section nothing listens on TCP, and prom-client is not even loaded', async (t) => {
  const lab = prepare(t);
  const relay = await lab.startRelay([]);
  t.notOk(relay.events.some(({ event }) => event === 'health_listening'));
  const { exit, stdout } = await run(lab, '-e', `
    await import(${JSON.stringify(join(ROOT, 'intermediate-server', 'dist', 'index.js'))});
    const { createRequire } = await import('node:module');
    const isLoaded = () => Object.keys(createRequire('file:///x').cache).some((path) => path.includes('prom-client'));
    const before = isLoaded();
    await import(${JSON.stringify(join(ROOT, 'protocol', 'dist', 'observe', 'prometheus-registry.js'))});
    console.log(before, isLoaded());
  `);
  t.equal(exit, 0);
  t.equal(stdout, 'false true\n');
});

void t.test('a changed token is taken over without a restart', async (t) => {
  const lab = prepare(t);
  const relay = await lab.startRelay([], { extra: { health: { listen: '127.0.0.1:0', token: 'metrics.token' } } });
  const address = String((await relay.waitFor('health_listening')).address);
  const ask = async (token: string): Promise<number> => (await fetchHealth(address, '/metrics', { authorization: `Bearer ${token}` })).status;
  t.equal(await ask(TOKEN), 200);
  const next = 'YW5vdGhlciB0b2tlbiBhbHRvZ2V0aGVy';
  lab.write('metrics.token', next);
  await relay.waitFor('reloaded');
  t.equal(await ask(next), 200);
  t.equal(await ask(TOKEN), 401);
  lab.write('metrics.token', 'bad');
  await relay.waitFor('reload_refused');
  t.equal(await ask(next), 200, 'a token that is none is refused, and the old one stays');
  for (const process of lab.processes) t.notOk(process.log.includes(TOKEN) || process.log.includes(next), 'no token in any log');
});

function relayConfig(lab: Lab): object {
  return { listen: '127.0.0.1:0', tls: lab.tls('relay-1'), keyring: 'keyring.yaml', policy: 'policy.yaml' };
}
