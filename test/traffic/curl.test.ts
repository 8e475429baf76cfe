// Web requests by curl through the overlay: methods, address families, a backend by name.

import t from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { patternBytes } from '../harness/pattern.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';

const curl = requireTool(t, 'curl');
if (curl) {
  const web = await startWebBackend(t);
  const web6 = await startWebBackend(t, { host: '::1', greeting: 'hello over IPv6' });
  const named = await startWebBackend(t, { name: 'localhost', greeting: 'hello by name' });
  const { agent } = await startOverlay(
    t,
    { web: { backend: web.address }, web6: { backend: web6.address }, named: { backend: named.address } },
    { web6: '[::1]:0' },
  );
  const get = (url: string): ReturnType<typeof runTool> => runTool(curl, ['-sS', '-g', '--max-time', '30', '-w', ' %{http_code}', url]);

  t.test('curl GETs a page of a private web app', async (t) => {
    const { exit, stdout, stderr } = await get(`http://127.0.0.1:${agent.port('web')}/hello`);
    t.same({ exit, said: stdout.toString() }, { exit: 0, said: 'hello from behind 200' }, stderr);
  });

  t.test('the status of the app reaches curl', async (t) => {
    const { stdout } = await get(`http://127.0.0.1:${agent.port('web')}/nowhere`);
    t.equal(stdout.toString(), ' 404');
  });

  t.test('curl POSTs a body and gets it back byte for byte', async (t) => {
    const body = patternBytes(1, 300_001);
    const url = `http://127.0.0.1:${agent.port('web')}/echo`;
    const { exit, stdout, stderr } = await runTool(curl, ['-sS', '--max-time', '30', '--data-binary', '@-', url], { input: body });
    t.equal(exit, 0, stderr);
    t.ok(stdout.equals(body), `${stdout.length} bytes came back`);
  });

  t.test('an IPv6 loopback listener leads to an IPv6 loopback backend', async (t) => {
    const { stdout, stderr } = await get(`http://[::1]:${agent.port('web6')}/hello`);
    t.equal(stdout.toString(), 'hello over IPv6 200', stderr);
  });

  t.test('a backend is found by its DNS name', async (t) => {
    const { stdout, stderr } = await get(`http://127.0.0.1:${agent.port('named')}/hello`);
    t.equal(stdout.toString(), 'hello by name 200', stderr);
  });

  t.test('one curl keeps one connection alive over several requests', async (t) => {
    const url = `http://127.0.0.1:${agent.port('web')}/hello`;
    const { exit, stdout, stderr } = await runTool(curl, ['-sS', '--max-time', '30', '-w', ' %{num_connects};', url, url, url]);
    t.equal(exit, 0, stderr);
    t.equal(stdout.toString(), 'hello from behind 1;hello from behind 0;hello from behind 0;');
  });
}
