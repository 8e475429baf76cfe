// A packet of a stranger at a relay's socket: a drop with a reason, or one answer that is no longer than the
// packet, and no state. Tried as it is and padded to the size of an Initial.

import { createAuthority, issueCertificate } from '@ztna/certs';
import { createQuicConfig, Endpoint, MIN_INITIAL_BYTES, OUTER_PROFILE, PACKET_DROP_REASONS, type DatagramSocket } from '@ztna/protocol';
import { asBuffer, concat, hex } from './support/chunks.js';
import { ensure, type FuzzTarget } from './support/fuzz-target.js';

const authority = createAuthority({ trustDomain: 'corp.example' });
const certificate = issueCertificate(authority, { role: 'relay', name: 'relay-1' });
const replies: number[] = [];
const socket: DatagramSocket = {
  local: { host: '192.0.2.1', port: 4433 },
  sendErrors: 0,
  start: () => undefined,
  sendRun: (_run, length) => void replies.push(length),
  close: () => Promise.resolve(),
};
let faults = 0;
const endpoint = new Endpoint({
  socket,
  onHandlerError: () => void faults++,
  server: {
    config: createQuicConfig({ ...OUTER_PROFILE, caPem: Buffer.from(authority.certificatePem), certificatePem: Buffer.from(certificate.certificatePem), keyPem: Buffer.from(certificate.keyPem) }),
    retry: true,
    maxConnections: 10,
    accept: () => {
      throw new Error('a stranger was admitted without a token of ours');
    },
  },
});

const receive = (packet: Uint8Array): unknown => {
  const before = { ...endpoint.drops };
  replies.length = 0;
  faults = 0;
  endpoint.onPacket(asBuffer(packet), '198.51.100.7', 50_000);
  endpoint.onBatchEnd();
  const dropped = PACKET_DROP_REASONS.filter((reason) => endpoint.drops[reason] !== before[reason]);
  ensure(faults === 0, 'a token that is not ours opened');
  ensure(endpoint.connectionCount === 0 && endpoint.connectionIdCount === 0, 'a stranger left state behind');
  ensure(replies.length + dropped.length === 1, `${replies.length} answers and ${dropped.length} drops for one packet`);
  ensure(replies.every((length) => length <= packet.length), 'the answer is longer than the packet');
  return { dropped, replies: [...replies] };
};

export const target: FuzzTarget = {
  decodes: 'Endpoint.onPacket, FirstContact, RetryTokens',
  maxBytes: 512,
  memory: { base: 131_072, perByte: 64 },
  dictionary: [hex('c000000001'), hex('00000000'), hex('ff00001d'), hex('5a5a5a5a')],
  *seeds() {
    yield concat(hex('c0000000010811223344556677880801020304050607080005aabbccddee'), new Uint8Array(40));
    yield hex('c00000000108112233445566778808010203040506070800');
    yield concat(hex('c00000000110112233445566778811223344556677880801020304050607084030'), new Uint8Array(48));
    yield hex('c05a5a5a5a08112233445566778808010203040506070800');
    yield hex('c00000000008112233445566778800');
    yield hex('4011223344');
  },
  run(input) {
    const padded = new Uint8Array(Math.max(MIN_INITIAL_BYTES, input.length));
    padded.set(input);
    return [receive(input.slice()), receive(padded)];
  },
};
