// What the health port answers to whom: paths, methods, tokens, client certificates.

import { get as httpsGet, type RequestOptions } from 'node:https';
import t from 'tap';
import { createAuthority, issueCertificate, type IssuedCertificate } from '@ztna/certs';
import { fetchHealth, fetchUntil, parseScrape, valueOf } from '../harness/scrape.js';
import { exchange, relayTls, startHealthPort, statusOf, TOKEN, withToken, type HealthPort } from './health-port.js';

const at = ({ port }: HealthPort): string => `127.0.0.1:${port}`;

void t.test('alive, ready and metrics on loopback, without a token where none is set', async (t) => {
  const health = await startHealthPort(t);
  t.match(await fetchHealth(at(health), '/healthz'), { status: 200, body: 'ok\n' });
  t.match(await fetchHealth(at(health), '/readyz'), { status: 200, body: '{"status":"ready","notReady":[]}\n' });
  const metrics = await fetchHealth(at(health), '/metrics?name=whatever');
  t.equal(valueOf(parseScrape(metrics.body), 'ztna_test'), 7);
  t.equal(metrics.headers['cache-control'], 'no-store');
  t.match(await fetchHealth(at(health), '/'), { status: 404 });
  t.match(await fetchHealth(at(health), '/healthz/'), { status: 404 });
});

void t.test('not ready is 503 with what is not, and alive all the same', async (t) => {
  const health = await startHealthPort(t);
  health.faults.push({ check: 'backend', about: 'web', reason: 'refused' });
  const { status, body } = await fetchHealth(at(health), '/readyz');
  t.equal(status, 503);
  t.strictSame(JSON.parse(body), { status: 'not ready', notReady: [{ check: 'backend', about: 'web', reason: 'refused' }] });
  t.match(await fetchHealth(at(health), '/healthz'), { status: 200 });
  health.faults.length = 0;
  health.service.drain();
  t.strictSame(JSON.parse((await fetchHealth(at(health), '/readyz')).body), { status: 'not ready', notReady: [{ check: 'draining', reason: 'asked to stop' }] });
  t.equal(valueOf(parseScrape((await fetchHealth(at(health), '/metrics')).body), 'ztna_draining'), 1);
});

void t.test('HEAD says what GET would, without the body; other methods are refused', async (t) => {
  const { port } = await startHealthPort(t);
  for (const path of ['/healthz', '/readyz', '/metrics']) {
    const head = await exchange(t, port, `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    t.equal(statusOf(head), 200);
    t.match(head, /content-length: [1-9]/);
    t.ok(head.endsWith('\r\n\r\n'), 'no body');
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'])
    t.match(await exchange(t, port, `${method} /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`), /^HTTP\/1\.1 405 [^]*allow: GET, HEAD/);
});

void t.test('a token: 401 without it or with another, for /metrics alone', async (t) => {
  const health = await startHealthPort(t, withToken());
  const bearer = (token: string) => fetchHealth(at(health), '/metrics', { authorization: `Bearer ${token}` });
  t.match(await fetchHealth(at(health), '/metrics'), { status: 401, headers: { 'www-authenticate': 'Bearer realm="metrics"' } });
  for (const wrong of [`${TOKEN}x`, TOKEN.slice(1), TOKEN.toUpperCase(), '', `${TOKEN} ${TOKEN}x`, 'x'.repeat(4000)]) t.match(await bearer(wrong), { status: 401 }, wrong);
  t.match(await fetchHealth(at(health), '/metrics', { authorization: `Basic ${TOKEN}` }), { status: 401 });
  t.match(await fetchHealth(at(health), `/metrics?access_token=${TOKEN}`), { status: 401 });
  const granted = await bearer(TOKEN);
  t.equal(granted.status, 200);
  t.equal(valueOf(parseScrape(granted.body), 'ztna_health_requests_denied_total'), 9);
  t.match(await fetchHealth(at(health), '/metrics', { authorization: `bearer ${TOKEN}` }), { status: 200 });

  health.faults.push({ check: 'backend', about: 'web', reason: 'refused' });
  t.strictSame(JSON.parse((await fetchHealth(at(health), '/readyz')).body), { status: 'not ready', notReady: [{ check: 'backend' }] }, 'no particulars for strangers');
  const known = await fetchHealth(at(health), '/readyz', { authorization: `Bearer ${TOKEN}` });
  t.match(JSON.parse(known.body), { notReady: [{ about: 'web', reason: 'refused' }] });

  for (const text of [granted.body, known.body, ...health.log]) t.notOk(text.includes(TOKEN), 'the token is nowhere in what it says or logs');
});

void t.test('a web page that reaches loopback under a name of its own reads no metrics', async (t) => {
  const health = await startHealthPort(t);
  const host = (name: string) => fetchHealth(at(health), '/metrics', { host: name });
  for (const name of ['evil.example', 'evil.example:9433', '127.0.0.1.evil.example', '127.0.0.1@evil.example']) t.match(await host(name), { status: 403 }, name);
  for (const name of ['localhost', 'LOCALHOST:9433', '127.0.0.1', '[::1]:9433', '10.0.0.7:1']) t.match(await host(name), { status: 200 }, name);
  health.faults.push({ check: 'backend', about: 'web', reason: 'refused' });
  t.notMatch((await fetchHealth(at(health), '/readyz', { host: 'evil.example' })).body, /web/);
});

void t.test('metrics: false leaves the probes', async (t) => {
  const health = await startHealthPort(t, { metrics: false });
  t.match(await fetchHealth(at(health), '/metrics'), { status: 404 });
  t.match(await fetchHealth(at(health), '/readyz'), { status: 200 });
  t.equal(health.renderings(), 0);
});

void t.test('with TLS a client certificate that is named may scrape; every other client may only probe', async (t) => {
  const revoked = new Set<string>();
  const authority = createAuthority({ trustDomain: 'example.test' });
  const health = await startHealthPort(t, { authority, tls: true, clients: new Set(['agent/prometheus']), isRevoked: ({ name }) => revoked.has(name) });
  const issue = (name: string, from = authority): IssuedCertificate => issueCertificate(from, { role: 'agent', name });
  const ask = (path: string, client?: IssuedCertificate): Promise<number> => askTls(health, path, client);
  const prometheus = issue('prometheus');
  t.equal(await ask('/metrics', prometheus), 200);
  t.equal(await ask('/metrics'), 403);
  t.equal(await ask('/metrics', issue('mallory')), 403, 'another identity of the same CA');
  t.equal(await ask('/metrics', issueCertificate(authority, { role: 'relay', name: 'relay-1' })), 403, 'no client certificate');
  const foreign = createAuthority({ trustDomain: 'example.test', name: 'foreign' });
  t.equal(await ask('/metrics', issue('prometheus', foreign)), 403, 'the same name from a foreign CA');
  t.equal(await ask('/readyz'), 200, 'a kubelet has no certificate');
  t.equal(await ask('/readyz', issue('prometheus', foreign)), 200);
  revoked.add('prometheus');
  t.equal(await ask('/metrics', prometheus), 403, 'on the deny list');
});

void t.test('a token and named clients: either will do', async (t) => {
  const authority = createAuthority({ trustDomain: 'example.test' });
  const health = await startHealthPort(t, { authority, tls: true, clients: new Set(['agent/prometheus']), ...withToken() });
  t.equal(await askTls(health, '/metrics', issueCertificate(authority, { role: 'agent', name: 'prometheus' })), 200);
  t.equal(await askTls(health, '/metrics', undefined, { headers: { authorization: `Bearer ${TOKEN}` } }), 200);
  t.equal(await askTls(health, '/metrics'), 401);
});

void t.test('a reload brings token, certificate and their dates; an expired certificate is not ready', async (t) => {
  const health = await startHealthPort(t, withToken());
  t.match(await fetchHealth(at(health), '/readyz'), { status: 200 });
  const soon = Date.now() + 2_000;
  const brief = relayTls(t, health.authority, { notAfter: new Date(soon) });
  health.service.apply({ settings: { listen: { host: '0.0.0.0', port: 1 }, metrics: false, tls: true, clients: new Set(), token: undefined }, tls: brief });
  const metrics = await fetchHealth(at(health), '/metrics');
  t.equal(metrics.status, 200, 'the token is gone, so loopback may read; the address and `metrics` stay as they were');
  const families = parseScrape(metrics.body);
  t.ok(valueOf(families, 'ztna_certificate_seconds_left', { certificate: 'own' })! < 3);
  t.ok(valueOf(families, 'ztna_certificate_seconds_left', { certificate: 'ca' })! > 86_400);
  const answer = await fetchUntil(at(health), '/readyz', ({ status }) => status !== 200);
  t.ok(Date.now() >= Math.floor(soon / 1000) * 1000, 'not before its time');
  t.match(JSON.parse(answer.body), { notReady: [{ check: 'certificate', reason: 'expired' }] });
  t.match(await fetchHealth(at(health), '/healthz'), { status: 200 });
});

void t.test('a metric that cannot be read is 500 and a line in the log, and the port goes on', async (t) => {
  let broken = true;
  const health = await startHealthPort(t, {
    read: () => {
      if (broken) throw new Error('no such counter');
      return 1;
    },
  });
  t.match(await fetchHealth(at(health), '/metrics'), { status: 500, body: 'internal error\n' });
  t.match(health.log.join(''), /health_request_failed.*no such counter/);
  broken = false;
  const answer = await fetchUntil(at(health), '/metrics', ({ status }) => status !== 500);
  t.equal(answer.status, 200, 'once the text that failed is old');
});

void t.test('many scrapes at once are rendered once', async (t) => {
  const health = await startHealthPort(t);
  const answers = await Promise.all(Array.from({ length: 20 }, () => fetchHealth(at(health), '/metrics')));
  t.ok(answers.every(({ status }) => status === 200));
  t.ok(health.renderings() < 5, `${health.renderings()} renderings`);
});

/** The status; the server is checked against the CA and its own name. */
function askTls({ port, authority }: HealthPort, path: string, client?: IssuedCertificate, extra: RequestOptions = {}): Promise<number> {
  const credentials = client ? { cert: client.certificatePem, key: client.keyPem } : {};
  const options: RequestOptions = { host: '127.0.0.1', port, path, agent: false, ca: authority.certificatePem, servername: 'relay-1.relay.example.test', ...credentials, ...extra };
  return new Promise((resolve, reject) => {
    httpsGet(options, (answer) => {
      answer.resume();
      resolve(answer.statusCode!);
    }).on('error', reject);
  });
}
