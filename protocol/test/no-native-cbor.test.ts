// cbor-x switches its optional native string extractor on for the whole process as soon as any module
// imports its main entry. Ours must not: no C++ on bytes from the network but the QUIC library's.

import { createRequire } from 'node:module';
import t from 'tap';
import * as protocol from '@ztna/protocol';

void t.test('nothing the product loads brings in the native CBOR extractor', async (t) => {
  t.type(protocol.decodeCborMap, 'function');
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((path) => /cbor-extract/.test(path));
  t.strictSame(loaded, []);
});
