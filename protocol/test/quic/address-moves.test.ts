// When a server asks whether its client is at another address, and which answers it believes.

import t from 'tap';
import fc from 'fast-check';
import {
  ADDRESS_CHECK_BYTES, AddressCheckKind, AddressMoves, CHALLENGE_INTERVAL_MS, CHALLENGE_LIFE_MS, readAddressCheck, writeAddressCheck, type SocketAddress,
} from '@ztna/protocol';

const ID = Buffer.alloc(16, 0xd1);
const HERE: SocketAddress = { host: '192.0.2.1', port: 1 };
const THERE: SocketAddress = { host: '192.0.2.2', port: 2 };

/** As a client with the key writes it. */
const respond = (moves: AddressMoves, nonce: Uint8Array, kind: AddressCheckKind = AddressCheckKind.response): Buffer => {
  const packet = Buffer.alloc(ADDRESS_CHECK_BYTES);
  writeAddressCheck(kind, ID, nonce, moves.key, packet);
  return packet;
};

t.test('a challenge is due at once, and then once an interval whatever addresses there are', async (t) => {
  const moves = new AddressMoves();
  t.equal(moves.isDue(0), true);
  moves.challenge(HERE, 0);
  t.equal(moves.isDue(CHALLENGE_INTERVAL_MS - 1), false);
  t.equal(moves.isDue(CHALLENGE_INTERVAL_MS), true);
});

t.test('copies of a challenge are equal, so that any of them may be answered', async (t) => {
  const moves = new AddressMoves();
  const nonce = Buffer.from(moves.challenge(HERE, 0));
  t.same(moves.challenge(HERE, CHALLENGE_LIFE_MS - 1), nonce);
  t.notSame(moves.challenge(HERE, CHALLENGE_LIFE_MS), nonce, 'until it has run out');
});

t.test('the response moves the client once, for as long as the challenge lives', async (t) => {
  const moves = new AddressMoves();
  const response = respond(moves, moves.challenge(THERE, 0));
  t.equal(moves.handleResponse(response, THERE.host, THERE.port, CHALLENGE_LIFE_MS), undefined, 'too late');
  t.same(moves.handleResponse(response, THERE.host, THERE.port, CHALLENGE_LIFE_MS - 1), THERE);
  t.equal(moves.handleResponse(response, THERE.host, THERE.port, CHALLENGE_LIFE_MS - 1), undefined, 'once');
});

t.test('of two addresses the last one asked counts', async (t) => {
  const moves = new AddressMoves();
  const first = respond(moves, moves.challenge(HERE, 0));
  const second = respond(moves, moves.challenge(THERE, CHALLENGE_INTERVAL_MS));
  t.equal(moves.handleResponse(first, HERE.host, HERE.port, 50), undefined);
  t.equal(moves.handleResponse(first, THERE.host, THERE.port, 50), undefined, 'a nonce is for one address');
  t.same(moves.handleResponse(second, THERE.host, THERE.port, 50), THERE);
});

t.test("its own challenge sent back, or a response with another connection's key, is none", async (t) => {
  const [moves, others] = [new AddressMoves(), new AddressMoves()];
  const nonce = moves.challenge(THERE, 0);
  t.equal(moves.handleResponse(respond(moves, nonce, AddressCheckKind.challenge), THERE.host, THERE.port, 1), undefined);
  t.equal(moves.handleResponse(respond(others, nonce), THERE.host, THERE.port, 1), undefined);
  t.notSame(moves.key, others.key);
});

t.test('ids of another length than ours cannot be asked', async (t) => {
  for (const length of [0, 8, 15, 17, 20]) t.equal(writeAddressCheck(AddressCheckKind.challenge, Buffer.alloc(length), Buffer.alloc(8), new Uint8Array(32), Buffer.alloc(64)), undefined);
});

t.test('whatever bytes come, nothing throws and nobody moves', async (t) => {
  const moves = new AddressMoves();
  const nonce = moves.challenge(THERE, 0);
  const good = respond(moves, nonce);
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), fc.record({ at: fc.nat(ADDRESS_CHECK_BYTES - 1), by: fc.integer({ min: 1, max: 255 }) })), (input) => {
      const packet = input instanceof Uint8Array ? Buffer.from(input) : Buffer.from(good);
      if (!(input instanceof Uint8Array)) packet[input.at]! ^= input.by;
      return readAddressCheck(AddressCheckKind.response, packet, moves.key) === undefined && moves.handleResponse(packet, THERE.host, THERE.port, 1) === undefined;
    }),
  );
  t.same(moves.handleResponse(good, THERE.host, THERE.port, 1), THERE);
});
