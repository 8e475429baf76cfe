// The quickstart as a newcomer runs it: what it prints, that it works, and that nothing is left of it. How the compiled
// parts fit is theirs; here are only command, output, exit code, processes, ports and files.

import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { processesOf, Quickstart, ROOT } from './quickstart-process.js';

const directoryOf = (test: Test): string => join(test.testdir({}), 'dev');

t.test('--once ends with the one line, exits 0 and leaves no process and no file', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory, ['--once']);
  t.equal(await quickstart.exited, 0, quickstart.stderr);
  t.match(quickstart.lastLine, /^quickstart: HTTP 200 through the overlay in \d+ ms$/);
  t.same(processesOf(directory), []);
  t.notOk(existsSync(directory));
});

t.test('runs four processes, each with its own YAML file, and answers through the overlay', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory);
  const { pids, port } = await quickstart.ready();
  t.same(Object.keys(pids).sort(), ['agent', 'connector', 'private app', 'relay']);
  t.equal(processesOf(directory).filter((pid) => pid !== quickstart.child.pid).length, 4);
  for (const file of ['agent', 'connector', 'private-app', 'relay']) t.ok(existsSync(join(directory, `${file}.yaml`)), file);

  await t.test('plain text for curl, a page for a browser, which shows what the visitor sent as text only', async (t) => {
    const plain = await fetch(`http://127.0.0.1:${port}/`);
    t.equal(plain.status, 200);
    t.match(await plain.text(), /You came in through the overlay/);
    const page = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: 'text/html', 'user-agent': '<script>alert(1)</script>' } });
    t.match(page.headers.get('content-type'), /^text\/html/);
    const html = await page.text();
    t.match(html, '&lt;script&gt;alert(1)&lt;/script&gt;');
    t.notMatch(html, '<script>');
  });

  await t.test('the printed connect line works as it is', async (t) => {
    const line = /^ {2}(printf .*)$/m.exec(quickstart.stdout)?.[1];
    const result = spawnSync('sh', ['-c', line ?? 'false'], { cwd: ROOT, encoding: 'utf8' });
    t.match(result.stdout, /^HTTP\/1\.1 200 OK/, result.stderr);
  });

  await t.test('keys, registration keys and the keyring are readable by their owner only', async (t) => {
    const secrets = readdirSync(directory).filter((name) => /\.(key|regkey)$|^keyring\.yaml$/.test(name));
    t.same(secrets.sort(), ['alice.key', 'alice.regkey', 'ca.key', 'connector-1.key', 'connector-1.regkey', 'keyring.yaml', 'relay-1.key']);
    for (const name of secrets) t.equal((statSync(join(directory, name)).mode & 0o777).toString(8), '600', name);
    t.equal((statSync(directory).mode & 0o777).toString(8), '700');
  });

  await t.test('a second copy is refused with the first one\'s pid, and harms nothing', async (t) => {
    const second = new Quickstart(t, directory, ['--once']);
    t.equal(await second.exited, 1);
    t.match(second.stderr, `running already, as pid ${quickstart.child.pid ?? 0}`);
    t.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
  });

  quickstart.child.kill('SIGINT');
  t.equal(await quickstart.exited, 0, quickstart.stderr);
});

t.test('SIGINT stops every process, frees the ports and removes the files', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory);
  const { port, relayPort } = await quickstart.ready();
  quickstart.child.kill('SIGINT');
  t.equal(await quickstart.exited, 0, quickstart.stderr);
  t.same(processesOf(directory), []);
  t.notOk(existsSync(directory));
  await t.rejects(once(connect(port, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
  const socket = createSocket('udp4').bind(relayPort, '127.0.0.1');
  await once(socket, 'listening');
  socket.close();
});

t.test('a process that ignores SIGTERM is killed', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory);
  const { pids } = await quickstart.ready();
  process.kill(pids['connector']!, 'SIGSTOP');
  quickstart.child.kill('SIGHUP');
  t.equal(await quickstart.exited, 0, quickstart.stderr);
  t.same(processesOf(directory), []);
});

t.test('a process that dies is named, with its last lines, and ends everything with exit code 1', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory);
  const { pids } = await quickstart.ready();
  process.kill(pids['relay']!, 'SIGKILL');
  t.equal(await quickstart.exited, 1);
  t.match(quickstart.stderr, /the relay was ended by SIGKILL\. The last it said:\n.*session_opened/s);
  t.same(processesOf(directory), []);
  t.notOk(existsSync(directory));
});

t.test('a reader of standard output that goes away ends everything', async (t) => {
  const directory = directoryOf(t);
  const quickstart = new Quickstart(t, directory);
  await quickstart.printed(/PKI/);
  quickstart.child.stdout!.destroy();
  await quickstart.exited;
  t.same(processesOf(directory), []);
  t.notOk(existsSync(directory));
});

t.test('what a killed quickstart left behind is ended and replaced by the next', async (t) => {
  const directory = directoryOf(t);
  const killed = new Quickstart(t, directory);
  await killed.ready();
  killed.child.kill('SIGKILL');
  await once(killed.child, 'exit');
  t.equal(processesOf(directory).length, 4);
  const next = new Quickstart(t, directory, ['--once']);
  t.equal(await next.exited, 0, next.stderr);
  t.same(processesOf(directory), []);
  t.notOk(existsSync(directory));
});

t.test('a port in use is named together with the option that changes it', async (t) => {
  const tcp = createServer().listen(0, '127.0.0.1');
  const udp = createSocket('udp4').bind(0, '127.0.0.1');
  t.teardown(() => (tcp.close(), udp.close()));
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')]);
  const { port } = tcp.address() as AddressInfo;
  const { port: relayPort } = udp.address();
  for (const [option, number, protocol] of [['--port', port, 'TCP'], ['--relay-port', relayPort, 'UDP']] as const) {
    const directory = directoryOf(t);
    const quickstart = new Quickstart(t, directory, ['--once', option, String(number)]);
    t.equal(await quickstart.exited, 1);
    t.match(quickstart.stderr, `${protocol} port ${number} on 127.0.0.1 is in use`);
    t.match(quickstart.stderr, `npm run quickstart -- ${option} `);
    t.notOk(existsSync(directory));
  }
});

t.test('an option that cannot be used is named, with the usage and exit code 2', async (t) => {
  for (const [args, message] of [[['--port', '65536'], '--port is "65536"'], [['--relay-port', 'x'], '--relay-port is "x"'], [['--twice'], '--twice']] as const) {
    const quickstart = new Quickstart(t, directoryOf(t), args);
    t.equal(await quickstart.exited, 2);
    t.match(quickstart.stderr, message);
    t.match(quickstart.stderr, /--once +make one request/);
  }
});

t.test('files that quickstart did not make are left alone', async (t) => {
  const directory = directoryOf(t);
  mkdirSync(directory);
  writeFileSync(join(directory, 'ca.key'), 'precious');
  const quickstart = new Quickstart(t, directory, ['--once']);
  t.equal(await quickstart.exited, 1);
  t.match(quickstart.stderr, /ca\.key exists, and quickstart did not leave it there/);
  t.same(readdirSync(directory), ['ca.key']);
});

t.test('without npm on the PATH it says so', async (t) => {
  const script = `import { ensureInstalled } from ${JSON.stringify(join(ROOT, 'scripts', 'ensure-built.mjs'))};
    try { ensureInstalled({ dev: false, directory: ${JSON.stringify(t.testdir({}))} }); } catch (error) { console.log(error.message); }`;
  const env = { PATH: '/nonexistent' };
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  t.match(said, /npm was not found on the PATH/);
});

t.test('git ignores the directory of the throw-away PKI', async (t) => {
  const { status, stdout } = spawnSync('git', ['check-ignore', 'certs/dev/ca.key', 'certs/dev/agent.yaml'], { cwd: ROOT, encoding: 'utf8' });
  t.equal(status, 0);
  t.equal(stdout, 'certs/dev/ca.key\ncerts/dev/agent.yaml\n');
});
