// Senders' addresses as the kernel writes them, through koffi where it is there. Any 28 bytes are read; what
// was read is written again to the same address.

import { loadSocketCalls, NAME_BYTES, readSockaddr, SenderCache, writeSockaddr, type SocketCalls } from '@ztna/protocol';
import { asBuffer, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const AF_INET = 2;
const AF_INET6 = 10;
const loaded = await loadSocketCalls();
// Where there is no koffi there are no such addresses either: then only IPv4 is read, which needs no call.
const calls: SocketCalls | undefined = loaded.ok ? loaded.calls : undefined;

export const target: FuzzTarget = {
  decodes: 'readSockaddr, SenderCache',
  maxBytes: 64,
  memory: { base: 262_144, perByte: 64 },
  *seeds() {
    yield hex('02001151c6336407000000000000000000000000000000000000000000000000');
    yield hex('0a0011510000000020010db8000000000000000000000007000000000000000000');
    yield hex('0a00115100000000fe800000000000000000000000000001020000000000');
    yield hex('0a001151000000000000000000000000000000ffffc6336407000000000000');
  },
  run(input) {
    // As in a batch: one name after another, this one second.
    const names = Buffer.alloc(2 * NAME_BYTES);
    asBuffer(input).copy(names, NAME_BYTES, 0, Math.min(input.length, NAME_BYTES));
    const family = names.readUInt16LE(NAME_BYTES);
    if (!calls || (family !== AF_INET && family !== AF_INET6)) return undefined;
    const address = readSockaddr(calls, names, NAME_BYTES);
    ensure(address.host.length <= 64 && address.port >= 0 && address.port <= 65_535, 'an address that is none');
    const cached = new SenderCache(calls, names).lookup(1);
    ensure(cached.host === address.host && cached.port === address.port, 'the cache reads another address');
    const written = Buffer.alloc(NAME_BYTES);
    ensure(writeSockaddr(calls, family, address, written), 'what was read cannot be written');
    const again = readSockaddr(calls, written, 0);
    ensure(again.host === address.host && again.port === address.port, 'writing it again gives another address');
    return address;
  },
};
