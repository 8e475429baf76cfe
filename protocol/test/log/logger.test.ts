// Log lines: their shape, what is kept out of them, and that nothing from the wire can forge one.

import t from 'tap';
import { spawnSync } from 'node:child_process';
import { createLogger, formatPretty, isSecretName, redact, ZtnaError, type LogFields, type LoggerOptions } from '@ztna/protocol';

const HOSTILE = 'x\n12:00:00 INFO  forged code=no_error \u001b[2J\u009b31m\u202e\u2028\r"';

const capture = (options: Partial<LoggerOptions> = {}) => {
  const lines: string[] = [];
  const log = createLogger({ name: 'relay', ...options, destination: { write: (line) => lines.push(line) } });
  return { log, lines };
};
const one = (fields: LogFields, options: Partial<LoggerOptions> = {}): string => {
  const { log, lines } = capture(options);
  log.info('happened', fields);
  return lines.join('');
};

t.test('a JSON line has code, event and identity before the rest', (t) => {
  const line = one({ peer: '127.0.0.1:9', identity: 'spiffe://x/agent/a', code: 'policy_denied' });
  t.same(Object.keys(JSON.parse(line) as object), ['level', 'time', 'name', 'code', 'event', 'identity', 'peer']);
  t.match(JSON.parse(line), { level: 'info', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, name: 'relay', code: 'policy_denied', event: 'happened', peer: '127.0.0.1:9' });
  t.equal(line.at(-1), '\n');
  t.end();
});

t.test('levels below the threshold write nothing', (t) => {
  const { log, lines } = capture({ level: 'warn' });
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const) log[level](level);
  t.same(lines.map((line) => (JSON.parse(line) as { event: string }).event), ['warn', 'error', 'fatal']);
  t.equal(log.isLevelEnabled('info'), false);
  t.equal(log.isLevelEnabled('error'), true);
  t.equal(log.isLevelEnabled('silent'), false);
  const silent = capture({ level: 'silent' });
  silent.log.fatal('x');
  t.same(silent.lines, []);
  t.end();
});

t.test("a child adds its fields, and a line's own win", (t) => {
  const { log, lines } = capture();
  log.child({ identity: 'a', slot: 1 }).child({ service: 'web' }).info('x', { slot: 2 });
  t.match(JSON.parse(lines[0]!), { identity: 'a', slot: 2, service: 'web' });
  t.end();
});

t.test("a caller's field cannot stand in for one of the line's own", (t) => {
  const line = one({ level: 'fatal', time: 'never', name: 'other', event: 'forged', msg: 'm' });
  t.match(JSON.parse(line), { level: 'info', name: 'relay', event: 'happened', level_: 'fatal', time_: 'never', name_: 'other', event_: 'forged', msg_: 'm' });
  for (const key of ['level', 'time', 'name', 'event']) t.equal(line.split(`"${key}":`).length, 2, `${key} once`);
  t.end();
});

t.test('pretty is HH:MM:SS LEVEL event key=value', (t) => {
  const line = one({ code: 'policy_denied', slot: 7, text: 'two words', empty: '', flag: true, nothing: null, list: [1, 'a'] }, { format: 'pretty' });
  t.match(line, /^\d\d:\d\d:\d\d INFO {2}happened code=policy_denied slot=7 text="two words" empty="" flag=true nothing=null list=\[1,"a"\]\n$/);
  t.end();
});

t.test('text from the wire can end neither its line nor its field', (t) => {
  for (const format of ['json', 'pretty'] as const) {
    const line = one({ text: HOSTILE, [HOSTILE]: 1, nested: { [HOSTILE]: [HOSTILE] } }, { format });
    // eslint-disable-next-line no-control-regex -- control characters are the point
    t.notMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/, format);
    t.equal(line.at(-1), '\n');
  }
  t.match(JSON.parse(one({ text: HOSTILE })), { text: HOSTILE }, 'and JSON still carries it whole');
  t.match(one({ text: 'a code=b' }, { format: 'pretty' }), 'text="a code=b"');
  t.match(one({ 'a b=c': 1 }, { format: 'pretty' }), '"a b=c"=1');
  t.equal(formatPretty('stray \u001b[2J\n'), 'stray \\u001b[2J');
  t.equal(formatPretty('5'), '5');
  t.equal(formatPretty('{"event":"x"}'), '--:--:-- UNDEFINED x');
  t.end();
});

t.test('a counter is shown whatever its name, and whatever else has token in its name is not', async (t) => {
  t.same(redact({ packetDrops: { retry_token_invalid: 7, retry_token: '7' } }), { packetDrops: { retry_token_invalid: 7, retry_token: '[redacted]' } });
});

t.test('secrets are redacted by key name, at any depth', (t) => {
  const secret = 'hunter2';
  const names = ['key', 'secret', 'token', 'privateKey', 'private_key', 'hmacSecret', 'password', 'passphrase', 'authorization', 'cookie', 'seed', 'signingKey', 'KEY', 'registrationToken'];
  for (const name of names) {
    t.equal(isSecretName(name), true, name);
    for (const format of ['json', 'pretty'] as const) t.notMatch(one({ [name]: secret, deep: { list: [{ [name]: { inner: secret } }] } }, { format }), secret, `${name} ${format}`);
  }
  for (const name of ['keyId', 'publicKey', 'public_key', 'monkey', 'service', 'keepalive', 'code']) t.equal(isSecretName(name), false, name);
  t.match(JSON.parse(one({ keyId: 'k1', publicKey: 'p' })), { keyId: 'k1', publicKey: 'p' });
  t.notMatch(one({ text: `-----BEGIN EC PRIVATE KEY-----\n${secret}` }), secret, 'a key in PEM under any name');
  t.notMatch(one({ error: new Error(`-----BEGIN PRIVATE KEY-----\n${secret}`) }), secret, "in an error's message");
  t.end();
});

t.test('values of every kind are made small and safe', (t) => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  t.match(JSON.stringify(redact(cycle)), '[nested]');
  t.equal(redact(Buffer.from('secret bytes')), '<12 bytes>');
  t.equal(redact(new ArrayBuffer(3)), '<3 bytes>');
  t.equal(redact(10n), '10');
  t.equal(redact(() => 1), undefined);
  t.equal(redact(new Date(0)), '1970-01-01T00:00:00.000Z');
  t.equal(redact(new Date(Number.NaN)), 'invalid date');
  t.same(redact(new Map([['token', 'x']])), { token: '[redacted]' });
  t.same(redact(new Set([1])), [1]);
  t.equal((redact('x'.repeat(5000)) as string).length, 1024 + '… (5000 characters)'.length);
  t.equal((redact(Array(100).fill(0)) as unknown[]).length, 64);
  t.same(redact(new ZtnaError('usage', 'no', { cause: new Error('why') })), { code: 'usage', message: 'no', cause: { message: 'why' } });
  t.end();
});

t.test('lines reach standard error before the process exits, and none standard output', (t) => {
  const result = runLogger('for (let i = 0; i < 2000; i++) log.fatal("x", { i }); process.exit(3);');
  t.equal(result.status, 3);
  t.equal(result.stdout, '');
  const lines = result.stderr.trimEnd().split('\n');
  t.equal(lines.length, 2000);
  t.match(JSON.parse(lines.at(-1)!), { i: 1999 });
  t.match(runLogger('log.fatal("last"); process.abort();').stderr, '"event":"last"', 'a crash loses none');
  t.end();
});

t.test('a standard error that was closed does not end the process', (t) => {
  const program = 'for (let i = 0; i < 50; i++) log.info("x"); setImmediate(() => { log.info("y"); console.log("alive"); });';
  const result = spawnSync('sh', ['-c', '"$0" --input-type=module -e "$1" 2>&-', process.execPath, programOf(program)], { encoding: 'utf8' });
  t.equal(result.stdout, 'alive\n');
  const piped = spawnSync('sh', ['-c', '{ "$0" --input-type=module -e "$1" 2>&1 >&3 | true; } 3>&1', process.execPath, programOf(`await new Promise((done) => setTimeout(done, 300));${program}`)], { encoding: 'utf8' });
  t.equal(piped.stdout, 'alive\n', 'a pipe whose reader left');
  t.end();
});

function programOf(body: string): string {
  return `import { createLogger } from ${JSON.stringify(import.meta.resolve('@ztna/protocol'))}; const log = createLogger({ name: 'test' });${body}`;
}

function runLogger(body: string) {
  return spawnSync(process.execPath, ['--input-type=module', '-e', programOf(body)], { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 });
}
