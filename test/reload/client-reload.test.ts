// Live reload of connector and agent: what takes effect at once, what waits for a restart, and what `check` warns of.

import t, { type Test } from 'tap';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { parse, stringify } from 'yaml';
import { join } from 'node:path';
import { Lab, ROOT, type RunningAgent } from '../harness/lab.js';
import type { ManagedProcess } from '../harness/managed-process.js';
import { startEchoBackend } from '../harness/tcp.js';
import { startWebBackend } from '../harness/web-backend.js';

t.setTimeout(120_000);

interface Scene {
  readonly lab: Lab;
  readonly connector: ManagedProcess;
  readonly alice: RunningAgent;
  readonly bob: RunningAgent;
}

const setUp = async (t: Test): Promise<Scene> => {
  const backend = await startEchoBackend(t);
  const lab = Lab.create(t);
  lab.enrol('connector', 'con-1', ['echo', 'more']);
  lab.enrol('agent', 'alice');
  lab.enrol('agent', 'bob');
  await lab.startRelay([{ allow: ['alice', 'bob'], services: ['echo', 'more'] }]);
  const connector = await lab.startConnector('con-1', { echo: { backend: backend.address, allow: ['alice', 'bob'] } });
  const alice = await lab.startAgent('alice', [{ service: 'echo' }]);
  const bob = await lab.startAgent('bob', [{ service: 'echo' }]);
  return { lab, connector, alice, bob };
};

interface Edited {
  services: Record<string, { allow?: unknown; backend?: string }>;
}

const edit = (lab: Lab, name: string, change: (config: Edited) => void): void => {
  const config = parse(lab.read(`${name}.yaml`)) as Edited;
  change(config);
  lab.write(`${name}.yaml`, stringify(config));
};

const open = async (t: Test, agent: RunningAgent): Promise<Socket> => {
  const socket = connect({ host: '127.0.0.1', port: agent.port('echo') });
  socket.on('error', () => undefined);
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
};

const echo = async (socket: Socket, text: string): Promise<string> => {
  socket.write(text);
  return String((await once(socket, 'data', { signal: AbortSignal.timeout(20_000) }))[0]);
};

t.test('an agent that leaves an allow list is cut off at once, and nobody else', async (t) => {
  const { lab, connector, alice, bob } = await setUp(t);
  const [hers, his] = [await open(t, alice), await open(t, bob)];
  t.equal(await echo(hers, 'a'), 'a');
  t.equal(await echo(his, 'b'), 'b');
  const cut = new Promise((resolve) => hers.once('close', resolve));
  edit(lab, 'con-1', ({ services }) => (services['echo']!.allow = ['bob']));
  t.match(await connector.waitFor('reloaded'), { agentsClosed: 1, linkRenewed: false });
  await cut;
  t.equal(await echo(his, 'still'), 'still');
  await open(t, alice);
  await alice.process.waitFor('flow_refused', { code: 'agent_not_allowed' });
  edit(lab, 'con-1', ({ services }) => (services['echo']!.allow = '*'));
  await connector.waitFor('reloaded', { trigger: 'file_changed', agentsClosed: 0, linkRenewed: false });
  t.equal(await echo(await open(t, alice), 'again'), 'again');
});

t.test('a new backend is that of flows to come; flows that stand keep theirs', async (t) => {
  const { lab, connector, alice } = await setUp(t);
  const web = await startWebBackend(t);
  const before = await open(t, alice);
  t.equal(await echo(before, 'a'), 'a');
  edit(lab, 'con-1', ({ services }) => (services['echo']!.backend = web.address));
  await connector.waitFor('reloaded');
  t.match(await echo(await open(t, alice), 'GET /hello HTTP/1.1\r\nhost: x\r\n\r\n'), /^HTTP\/1\.1 200 OK/);
  t.equal(await echo(before, 'b'), 'b');
});

t.test('a service that is new waits for a restart, and the log says so; one that is gone is not served any more', async (t) => {
  const { lab, connector, alice } = await setUp(t);
  edit(lab, 'con-1', ({ services }) => {
    services['more'] = services['echo']!;
    delete services['echo'];
  });
  await connector.waitFor('restart_needed', { changed: 'services.more' });
  await connector.waitFor('restart_needed', { changed: 'services.echo' });
  await connector.waitFor('reloaded');
  const refused = await open(t, alice);
  const cut = new Promise((resolve) => refused.once('close', resolve));
  await connector.waitFor('agent_refused', { code: 'service_not_served' });
  await cut;
});

t.test('changes of agent.yaml that wait for a restart are named', async (t) => {
  const { lab, alice } = await setUp(t);
  lab.write('alice.yaml', stringify({ ...(parse(lab.read('alice.yaml')) as object), listeners: [] }));
  await alice.process.waitFor('restart_needed', { changed: 'listeners' });
  await alice.process.waitFor('reloaded', { linkRenewed: false });
  t.equal(await echo(await open(t, alice), 'still there'), 'still there');
});

t.test('check warns of what is allowed and most likely a mistake, and refuses the key of somebody else', async (t) => {
  const lab = Lab.create(t);
  lab.enrol('agent', 'alice');
  lab.enrol('connector', 'con-1', ['web']);
  lab.issue('connector', 'con-1', ['web', 'dns']);
  const check = async (program: string, config: string): Promise<{ exit: unknown; said: string }> => {
    const run = lab.run(join(ROOT, program, 'dist', 'main.js'), ['check', '-c', config]);
    const exit = await run.exited;
    return { exit, said: run.stderrLines.join('\n') + String(run.stdout).split('\n').filter((line) => line.includes(': warning: ')).map((line) => line.replace(/^.*: warning: /, '')).join('\n') };
  };
  const relay = lab.writeRelay([{ allow: ['alice', 'alcie'], services: ['web', 'wbe'] }]);
  t.strictSame(await check('intermediate-server', relay), {
    exit: 0,
    said: 'the policy names the agent alcie, which no key of the keyring may register\nthe policy names the service wbe, which no key of the keyring may register',
  });
  const exposed = await check('agent', lab.agentConfig('alice', [{ service: 'web', listen: '0.0.0.0:8080' }], { relays: [{ address: '127.0.0.1:4433', name: 'relay-1' }] }));
  t.match(exposed, { exit: 0, said: /^the listener for web on 0\.0\.0\.0:8080 is no loopback address/ });

  const client = { relays: [{ address: '127.0.0.1:4433', name: 'relay-1' }], tls: lab.tls('con-1') };
  const services = { web: { backend: '127.0.0.1:80', allow: '*' }, dns: { backend: '127.0.0.1:53', allow: '*' } };
  const narrow = lab.write('narrow.yaml', stringify({ ...client, registration: { key: 'con-1.regkey' }, services }));
  t.match(await check('app-connector', narrow), { exit: 0, said: /con-1\.regkey was not made for the service dns/ });
  const wrong = lab.write('wrong.yaml', stringify({ ...client, registration: { key: 'alice.regkey' }, services }));
  t.match(await check('app-connector', wrong), { exit: 2, said: /alice\.regkey was made for another role than the certificate's, connector: / });
  const listed = lab.write('listed.yaml', stringify({ ...client, registration: { key: 'con-1.regkey' }, services: { web: { backend: '127.0.0.1:900000', allow: ['*'] } } }));
  const { exit, said } = await check('app-connector', listed);
  t.equal(exit, 2);
  t.match(said, /allow\[0\]: is "\*"; must be an agent's name; for every agent write allow: '\*', without the list/);
  t.match(said, /backend: is "127\.0\.0\.1:900000"; must be host:port with a port from 1 to 65535/);
});

t.test('connect names a service that can be none, before anything is dialed', async (t) => {
  const lab = Lab.create(t);
  lab.enrol('agent', 'alice');
  const run = lab.run(join(ROOT, 'agent', 'dist', 'main.js'), ['connect', 'NoSuch!', '-c', lab.agentConfig('alice', [])]);
  t.equal(await run.exited, 2);
  t.match(run.stderrLines.join('\n'), /^ztna-agent: "NoSuch!" is no name of a service: 1 to 63 /);
});
