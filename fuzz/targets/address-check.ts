// Address checks: nothing counts but what was written with the key, for this kind. The input is a patch over a good
// one: where (a byte), then bytes that are XORed into it; and by itself a packet.

import { ADDRESS_CHECK_BYTES, addressCheckDestination, AddressCheckKind, readAddressCheck, writeAddressCheck } from '@ztna/protocol';
import { asBuffer, equal } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const KEY = new Uint8Array(32).fill(7);
const NONCE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
const good = Buffer.alloc(ADDRESS_CHECK_BYTES);
writeAddressCheck(AddressCheckKind.response, new Uint8Array(16).fill(4), NONCE, KEY, good);

export const target: FuzzTarget = {
  decodes: 'addressCheckDestination, readAddressCheck',
  maxBytes: 128,
  memory: { base: 32_768, perByte: 64 },
  *seeds() {
    yield Uint8Array.of(0);
    yield Uint8Array.of(17, 1);
    yield new Uint8Array(good);
    yield new Uint8Array(good.subarray(0, 40));
  },
  run(input) {
    const packet = asBuffer(input);
    const destination = addressCheckDestination(packet);
    ensure((destination !== undefined) === (input.length === ADDRESS_CHECK_BYTES), 'a destination in a packet of another length');
    const direct = readAddressCheck(AddressCheckKind.response, packet, KEY);
    ensure((direct !== undefined) === equal(input, good), 'a check of somebody else was read');
    const at = input[0] ?? 0;
    const patched = Buffer.from(good);
    for (let index = 1; index < input.length && at + index - 1 < patched.length; index++) patched[at + index - 1]! ^= input[index]!;
    const read = readAddressCheck(AddressCheckKind.response, patched, KEY);
    ensure((read !== undefined) === equal(patched, good), 'a changed check was read, or the good one was not');
    ensure(readAddressCheck(AddressCheckKind.challenge, patched, KEY) === undefined, 'a response was read as a challenge');
    return { destination, direct: direct && Buffer.from(direct) };
  },
};
