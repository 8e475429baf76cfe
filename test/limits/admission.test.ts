// The relay process under more clients than it takes: what each of them is told, what the log says, that an
// innocent flow from another address notices nothing, and that limits change while it runs.

import t from 'tap';
import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { relayDnsName } from '@ztna/protocol';
import { startInnocentLab } from '../harness/innocent-flow.js';
import { HostileClient, type Credentials } from '../harness/hostile-client.js';
import { Lab, TRUST_DOMAIN } from '../harness/lab.js';
import { checkNoSecretsLogged } from '../harness/secret-scan.js';

const SOURCE = '127.0.0.2';
const OTHER_SOURCE = '127.0.0.3';

const lab = Lab.create(t);
lab.enrol('agent', 'mallory');
const { relay, flow } = await startInnocentLab(t, lab);
const credentials: Credentials = { caPem: lab.read('ca.crt'), certificatePem: lab.read('mallory.crt'), keyPem: lab.read('mallory.key') };

const dial = (from: string): Promise<HostileClient> =>
  HostileClient.dial({ credentials, port: lab.relayPort, serverName: relayDnsName('relay-1', TRUST_DOMAIN), from });

/** Rewrites relay.yaml with these limits and waits until they hold. */
const setLimits = async (limits: object): Promise<void> => {
  const config = parse(readFileSync(lab.path('relay-1.yaml'), 'utf8')) as object;
  relay.forgetEvents();
  lab.write('relay-1.yaml', stringify({ ...config, limits }));
  await relay.waitFor('reloaded');
};

t.test('by default a source has 64 connections; the 65th is refused with the reason, others and other sources are not', async (t) => {
  const clients: HostileClient[] = [];
  // 40 at once and 20 a second: those beyond are passed over in silence and are in with their next Initial.
  for (let i = 0; i < 64; i++) clients.push(await dial(SOURCE));
  await Promise.all(clients.map(async (client) => (await client.established()).hello('agent').roundTrip()));
  const late = await dial(SOURCE);
  const end = await late.ended;
  t.match(end, { code: 'connection_refused', reason: 'too many connections from this address at this relay' });
  await flow.roundTrip();
  const other = await (await dial(OTHER_SOURCE)).established();
  await other.hello('agent').roundTrip();

  const first = await relay.waitFor('clients_turned_away');
  // Of the rate that 64 at once exceed, or of the 65th, whichever came first.
  t.ok(Number(first.source_handshake_rate ?? first.source_connections) >= 1);
  const told = relay.events.filter(({ event }) => event === 'clients_turned_away');
  t.ok(told.length <= 2, 'one line in 10 s, however many were turned away');
  t.notMatch(JSON.stringify(told), SOURCE, 'addresses at debug level only');

  await clients[0]!.close();
  for (let admitted = false; !admitted; ) {
    const next = await dial(SOURCE);
    admitted = await next.established().then(() => true, () => false);
    await next.close();
  }
  await Promise.all([...clients, late, other].map((client) => client.close()));
});

t.test('limits change while the relay runs: for those to come, nobody is turned out', async (t) => {
  const from = '127.0.0.4';
  const first = await (await dial(from)).established();
  const second = await (await dial(from)).established();
  await setLimits({ source: { connections: 1 } });
  const third = await dial(from);
  t.equal((await third.ended).code, 'connection_refused');
  await first.hello('agent').roundTrip();
  await second.hello('agent').roundTrip();

  await setLimits({ source: { connections: 3 } });
  const fourth = await (await dial(from)).established();
  await Promise.all([first, second, third, fourth].map((client) => client.close()));
  await flow.roundTrip();
});

t.test('a client that meets a lasting limit says so, and is in once there is room', async (t) => {
  await setLimits({ source: { connections: 2 } });
  // Connector and agent of the innocent flow are the two of 127.0.0.1.
  const { process: mallory } = lab.runAgent('mallory', []);
  const { reason, code } = await mallory.waitFor('disconnected');
  t.equal(code, 'connection_refused');
  t.equal(reason, `relay relay-1 at 127.0.0.1:${lab.relayPort} takes no more connections: too many connections from this address at this relay`);
  await setLimits({});
  await mallory.waitFor('registered');
  await mallory.stop();
  await flow.roundTrip();
});

t.test('a Retry key file is taken up while the relay runs, and a bad one refused', async (t) => {
  const config = parse(readFileSync(lab.path('relay-1.yaml'), 'utf8')) as object;
  lab.write('retry.key', `${Buffer.alloc(32, 7).toString('base64')}\n`);
  relay.forgetEvents();
  lab.write('relay-1.yaml', stringify({ ...config, retryKey: 'retry.key' }));
  await relay.waitFor('reloaded');
  await (await (await dial(OTHER_SOURCE)).established()).close();
  relay.forgetEvents();
  lab.write('retry.key', 'short');
  const { reason } = await relay.waitFor('reload_refused', { code: 'config_invalid' });
  t.match(reason, /retry\.key: .*ztna-certs retry-key/);
  await (await (await dial(OTHER_SOURCE)).established()).close();
  lab.write('relay-1.yaml', stringify(config));
  await flow.roundTrip();
});

t.test('limits that contradict themselves are refused, and the old ones stay', async (t) => {
  const config = parse(readFileSync(lab.path('relay-1.yaml'), 'utf8')) as object;
  relay.forgetEvents();
  lab.write('relay-1.yaml', stringify({ ...config, limits: { handshake: { timeout: '1s' } } }));
  const { reason } = await relay.waitFor('reload_refused', { code: 'config_invalid' });
  t.match(reason, /limits\.handshake\.pressedTimeout/);
  await flow.roundTrip();
});

t.test('nothing secret was logged', async (t) => checkNoSecretsLogged(t, lab));
