// The soak's network as a process of its own, so that neither its work nor its sockets count for anyone else. Takes
// requests over IPC and ends when its parent does.

import type { SocketAddress } from '@ztna/protocol';
import { LossyLink, type LinkStats } from './lossy-link.js';
import type { NetworkChances, NetworkReply, NetworkRequest } from './network.js';

const chances = JSON.parse(process.argv[2]!) as NetworkChances;
const links = new Map<string, LossyLink>();
let relay: SocketAddress | undefined;

const handle = async (request: NetworkRequest): Promise<NetworkReply['result']> => {
  switch (request.kind) {
    case 'open': {
      const link = await LossyLink.open({ ...chances, name: request.name, relay: () => relay });
      links.set(request.name, link);
      return { port: link.port };
    }
    case 'relay':
      relay = { host: '127.0.0.1', port: request.port };
      return {};
    case 'rebind':
      await links.get(request.name)?.rebind();
      return {};
    case 'stats':
      return { stats: sum([...links.values()].map(({ stats }) => stats)) };
  }
};

const sum = (all: readonly LinkStats[]): LinkStats => {
  const total: LinkStats = { packets: 0, lost: 0, late: 0, twice: 0, rebinds: 0 };
  for (const stats of all) for (const key of Object.keys(total) as (keyof LinkStats)[]) total[key] += stats[key];
  return total;
};

process.on('message', (request: NetworkRequest) => {
  void handle(request).then((result) => process.send?.({ id: request.id, result } satisfies NetworkReply));
});
process.once('disconnect', () => {
  void Promise.all([...links.values()].map((link) => link.close()));
});
// Ctrl-C reaches the whole group; the parent says when.
process.on('SIGINT', () => undefined);
