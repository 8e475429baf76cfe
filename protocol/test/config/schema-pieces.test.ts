// The reusable pieces of configuration schemas: what each accepts and what it makes of it.

import t from 'tap';
import type { z } from 'zod';
import {
  byteSize, durationMs, filePath, formatHostPort, hostPort, listenAddress, logSection, parseConfig, registrationSection, relaysSection, serviceName, withBaseDirectory,
} from '@ztna/protocol';

const REFUSED = 'refused';
const parse = (schema: z.ZodType, value: unknown): unknown => {
  const result = schema.safeParse(value);
  return result.success ? result.data : REFUSED;
};

t.test('host:port', (t) => {
  for (const [text, host, port] of [
    ['127.0.0.1:8080', '127.0.0.1', 8080], ['[::1]:443', '::1', 443], ['db.internal:5432', 'db.internal', 5432], ['web_app:80', 'web_app', 80],
    ['example.com.:65535', 'example.com.', 65535], ['localhost:1', 'localhost', 1], ['3com.example:1', '3com.example', 1],
  ] as const) {
    t.same(parse(hostPort, text), { host, port }, text);
    t.equal(formatHostPort({ host, port }), text);
  }
  for (const text of [
    '', 'x', ':80', 'x:', 'x:0', 'x:65536', 'x:-1', 'x:1.5', 'x:1e3', 'x: 80', ' x:80', 'x:80\n', '::1:80', '[::1]', '[::1]:', '[127.0.0.1]:80', '[x]:80', '300.1.1.1:80', '127.1:80',
    '1:80', '-x:80', 'x-:80', 'a..b:80', '.:80', 'http://x:80', 'x/y:80', 'x\0:80', 'ü.example:80', `${'a'.repeat(64)}:80`, `${'a.'.repeat(127)}aa:80`, '[[::1]]:80', 80, null, { host: 'x', port: 1 },
  ])
    t.equal(parse(hostPort, text), REFUSED, JSON.stringify(text));
  t.end();
});

t.test('a listen address is an IP address, and its port may be 0', (t) => {
  t.same(parse(listenAddress, '0.0.0.0:4433'), { host: '0.0.0.0', port: 4433 });
  t.same(parse(listenAddress, '[::]:0'), { host: '::', port: 0 });
  for (const text of ['localhost:80', '*:80', ':80', '4433']) t.equal(parse(listenAddress, text), REFUSED, text);
  t.end();
});

t.test('durations need their unit', (t) => {
  for (const [text, milliseconds] of [['250ms', 250], ['30s', 30_000], ['5m', 300_000], ['1.5m', 90_000], ['2h', 7_200_000], ['24d', 2_073_600_000], ['1ms', 1]] as const)
    t.equal(parse(durationMs, text), milliseconds, text);
  for (const value of ['30', 30, '', 's', '-1s', '0s', '0.1ms', '25d', '1e3s', '1 s', '30S', '5min', '1s1s', 'toString', '9999999999999s'])
    t.equal(parse(durationMs, value), REFUSED, JSON.stringify(value));
  t.end();
});

t.test('sizes are bytes or have a binary unit', (t) => {
  for (const [value, bytes] of [[1350, 1350], ['512B', 512], ['64KiB', 65_536], ['1.5MiB', 1_572_864], ['1GiB', 2 ** 30]] as const)
    t.equal(parse(byteSize, value), bytes, String(value));
  for (const value of [0, -1, 1.5, '64KB', '64k', '64', '0.1B', '', 'MiB', null]) t.equal(parse(byteSize, value), REFUSED, JSON.stringify(value));
  t.end();
});

t.test('service names are DNS labels in lower case', (t) => {
  for (const text of ['web', 'ssh-box', '3d', 'a'.repeat(63)]) t.equal(parse(serviceName, text), text);
  for (const text of ['', 'Web', 'a.b', '-a', 'a-', 'a_b', 'a'.repeat(64), 'web\n', 'wéb']) t.equal(parse(serviceName, text), REFUSED, JSON.stringify(text));
  t.end();
});

t.test('paths are relative to the configuration file', (t) => {
  t.equal(withBaseDirectory('/etc/ztna', () => parse(filePath, 'ca.pem')), '/etc/ztna/ca.pem');
  t.equal(withBaseDirectory('/etc/ztna', () => parse(filePath, '../pki/ca.pem')), '/etc/pki/ca.pem');
  t.equal(withBaseDirectory('/etc/ztna', () => parse(filePath, '/run/ca.pem')), '/run/ca.pem');
  withBaseDirectory('/outer', () => {
    t.throws(() => withBaseDirectory('/inner', () => { throw new Error('stop'); }));
    t.equal(parse(filePath, 'x'), '/outer/x', 'after a parse that threw, too');
  });
  for (const value of ['', '~/ca.pem', 'a\0b', 5]) t.equal(parse(filePath, value), REFUSED, JSON.stringify(value));
  const { lineOf: _lineOf, ...parsed } = parseConfig('key: alice.regkey', registrationSection, '/etc/ztna') as Extract<ReturnType<typeof parseConfig<typeof registrationSection>>, { ok: true }>;
  t.same(parsed, { ok: true, config: { key: '/etc/ztna/alice.regkey' } });
  t.end();
});

t.test('the log section has defaults as a whole and in each part', (t) => {
  t.same(parse(logSection, undefined), { level: 'info', format: 'json' });
  t.same(parse(logSection, { format: 'pretty' }), { level: 'info', format: 'pretty' });
  t.equal(parse(logSection, { level: 'loud' }), REFUSED);
  t.end();
});

t.test('one to 16 relays, none listed twice', (t) => {
  const relay = (port: number) => ({ address: `127.0.0.1:${port}`, name: 'relay-1' });
  t.same(parse(relaysSection, [relay(1)]), [{ address: { host: '127.0.0.1', port: 1 }, name: 'relay-1' }]);
  t.equal(parse(relaysSection, []), REFUSED);
  t.equal(parse(relaysSection, Array.from({ length: 17 }, (_, index) => relay(index + 1))), REFUSED);
  t.equal(parse(relaysSection, [relay(1), relay(1)]), REFUSED);
  t.end();
});
