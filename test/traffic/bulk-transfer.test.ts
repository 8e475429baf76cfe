// 256 MiB each way by curl, compared by SHA-256; rates are printed as comments.

import { performance } from 'node:perf_hooks';
import t from 'tap';
import { startOverlay } from '../harness/overlay.js';
import { Digest, patternDigest, patternStream } from '../harness/pattern.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';

const MIB = 1024 * 1024;
const BYTES = 256 * MIB;

const curl = requireTool(t, 'curl');
if (curl) {
  const web = await startWebBackend(t);
  const { agent } = await startOverlay(t, { web: { backend: web.address } });
  const base = `http://127.0.0.1:${agent.port('web')}`;

  t.test('curl downloads 256 MiB intact', async (t) => {
    const digest = new Digest();
    const started = performance.now();
    const { exit, stderr } = await runTool(curl, ['-sS', `${base}/bytes/7/${BYTES}`], { onOutput: digest.update });
    t.comment(`down ${rate(started)} MiB/s`);
    t.equal(exit, 0, stderr);
    t.same({ bytes: digest.bytes, sha256: digest.value() }, { bytes: BYTES, sha256: patternDigest(7, BYTES) });
  });

  t.test('curl uploads 256 MiB intact', async (t) => {
    const started = performance.now();
    const { exit, stdout, stderr } = await runTool(curl, ['-sS', '-X', 'POST', '-H', 'Expect:', '-T', '-', `${base}/digest`], { input: patternStream(8, BYTES) });
    t.comment(`up ${rate(started)} MiB/s`);
    t.equal(exit, 0, stderr);
    t.same(JSON.parse(stdout.toString()), { bytes: BYTES, sha256: patternDigest(8, BYTES) });
  });
}

function rate(started: number): number {
  return Math.round(BYTES / MIB / ((performance.now() - started) / 1000));
}
