// SIGTERM to a relay while its clients know another: flows move there and live on, none that begins
// meanwhile fails, and the relay exits long before its deadline.

import { createHash } from 'node:crypto';
import t from 'tap';
import { patternDigest } from '../harness/pattern.js';
import { openTcp, startEchoBackend } from '../harness/tcp.js';
import { requireTool, runTool } from '../harness/tools.js';
import { startWebBackend } from '../harness/web-backend.js';
import { drain, DRAIN_TIMEOUT_MS, echo, startTwoRelays } from './two-relays.js';

/** The move takes a handshake, a path validation and a second of grace; the rest is for a busy machine. */
const PROMPT_MS = DRAIN_TIMEOUT_MS / 4;
const DOWNLOAD_BYTES = 24 * 1024 * 1024;
/** By the reader: the transfer lasts longer than the drain. */
const DOWNLOAD_RATE = '3M';

const curl = requireTool(t, 'curl');
if (curl) {
  const web = await startWebBackend(t);
  const tcp = await startEchoBackend(t);
  const overlay = await startTwoRelays(t, { web: { backend: web.address }, echo: { backend: tcp.address } });
  const { relays, agent, connector } = overlay;
  const port = agent.port('web');
  const url = (path: string): string => `http://127.0.0.1:${port}${path}`;

  /** curl after curl until `stop`; every one has to succeed. */
  const keepAsking = (): { stop(): Promise<{ asked: number; failed: string[] }> } => {
    const failed: string[] = [];
    let asked = 0;
    let on = true;
    const done = (async () => {
      while (on) {
        asked += 1;
        const { exit, stdout, stderr } = await runTool(curl, ['-sS', '--max-time', '30', url('/hello')]);
        if (exit !== 0 || stdout.toString() !== 'hello from behind') failed.push(`${exit}: ${stderr}`);
      }
    })();
    return {
      stop: async () => {
        on = false;
        await done;
        return { asked, failed };
      },
    };
  };

  const download = async (seed: number): Promise<{ exit: unknown; bytes: number; sha256: string }> => {
    const hash = createHash('sha256');
    let bytes = 0;
    const { exit } = await runTool(curl, ['-sS', '--limit-rate', DOWNLOAD_RATE, '--max-time', '120', url(`/bytes/${seed}/${DOWNLOAD_BYTES}`)], {
      onOutput: (chunk) => {
        bytes += chunk.length;
        hash.update(chunk);
      },
    });
    return { exit, bytes, sha256: hash.digest('hex') };
  };

  t.test('a transfer under way moves to the other relay and arrives byte for byte, and no flow that begins meanwhile fails', async (t) => {
    const quiet = await openTcp(t, agent.port('echo'));
    t.equal(await echo(quiet, 'before'), 'before');
    const transfer = download(1);
    const asking = keepAsking();
    await connector.waitForEvent(({ event }) => event === 'flow_closed', 'a first flow');
    const drained = await drain(relays[0]);
    t.equal(drained.exit, 0);
    t.comment(`relay-1 exited ${Math.round(drained.tookMs)} ms after SIGTERM`);
    t.ok(drained.tookMs < PROMPT_MS, 'long before its deadline');
    t.same(await transfer, { exit: 0, bytes: DOWNLOAD_BYTES, sha256: patternDigest(1, DOWNLOAD_BYTES) });
    const { asked, failed } = await asking.stop();
    t.same(failed, []);
    t.ok(asked >= 10, `${asked} flows began meanwhile`);
    t.equal(await echo(quiet, 'after'), 'after', 'a flow that was silent through the drain goes on too');
    await Promise.all([agent.process.waitFor('flows_moved', { service: 'web' }), agent.process.waitFor('left', { relay: 'relay-1', code: 'no_error' })]);
    await connector.waitFor('moved', { relay: 'relay-2', from: 'relay-1' });
  });

  t.test('a relay that was restarted is gone to when the other one drains: a rolling restart', async (t) => {
    await overlay.restart(0);
    agent.process.forgetEvents();
    const transfer = download(2);
    const asking = keepAsking();
    await connector.waitForNext(({ event }) => event === 'flow_closed', 'a flow through relay-2');
    const drained = await drain(relays[1]);
    t.equal(drained.exit, 0);
    t.ok(drained.tookMs < PROMPT_MS, `relay-2 exited ${Math.round(drained.tookMs)} ms after SIGTERM`);
    t.same(await transfer, { exit: 0, bytes: DOWNLOAD_BYTES, sha256: patternDigest(2, DOWNLOAD_BYTES) });
    t.same((await asking.stop()).failed, []);
    await agent.process.waitFor('left', { relay: 'relay-2', code: 'no_error' });
  });
}
