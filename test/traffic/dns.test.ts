// dig through the overlay: answers that fit a datagram and answers that do not, up to 4 KiB.

import t from 'tap';
import { startDnsServer } from '../harness/dns-server.js';
import { startOverlay } from '../harness/overlay.js';
import { requireTool, runTool } from '../harness/tools.js';

const dig = requireTool(t, 'dig');
if (dig) {
  const server = await startDnsServer(t);
  const { agent } = await startOverlay(t, { dns: { protocol: 'udp', backend: server.address } });

  for (const bytes of [512, 1200, 1232, 1400, 4096]) {
    t.test(`dig gets an answer of ${bytes} bytes whole`, async (t) => {
      const args = ['@127.0.0.1', '-p', String(agent.port('dns')), '+notcp', '+ignore', '+bufsize=4096', '+tries=3', '+time=5', 'TXT', `${bytes}.size.test`];
      const { exit, stdout, stderr } = await runTool(dig, args);
      t.equal(exit, 0, stderr);
      t.match(stdout.toString(), 'status: NOERROR');
      t.match(stdout.toString(), new RegExp(`MSG SIZE +rcvd: ${bytes}\\n`));
    });
  }
}
