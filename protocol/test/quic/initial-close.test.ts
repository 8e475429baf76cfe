// The stateless refusal, byte for byte: keys of RFC 9001 Appendix A.1, and a packet opened by hand.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import t from 'tap';
import { parseLongHeader, serverInitialKeys, writeInitialClose } from '@ztna/protocol';

void t.test("a server's Initial keys are those of RFC 9001 Appendix A.1", async (t) => {
  const { key, iv, hp } = serverInitialKeys(Buffer.from('8394c8f03e515708', 'hex'));
  t.equal(key.toString('hex'), 'cf3a5331653c364c88f0f379b6067e37');
  t.equal(iv.toString('hex'), '0ac1493ca1905853b0bba03e');
  t.equal(hp.toString('hex'), 'c206b8d9b9f0f37644430b490eeaa314');
});

void t.test('the packet is an Initial that holds CONNECTION_CLOSE with CONNECTION_REFUSED and the reason, nothing else', async (t) => {
  const clientDestination = Buffer.alloc(16, 1);
  for (const [destination, reason] of [[Buffer.alloc(0), ''], [Buffer.alloc(8, 2), 'full'], [Buffer.alloc(20, 3), 'x'.repeat(80)]] as const) {
    const into = Buffer.alloc(300);
    const length = writeInitialClose({ clientDestination, destination, source: clientDestination, reason }, into);
    const packet = into.subarray(0, length);
    t.ok(length <= 170, `${length} bytes`);
    const header = parseLongHeader(packet);
    t.match(header, { version: 1, type: 0 });
    t.same(header!.dcid, destination);
    t.same(header!.scid, clientDestination);
    t.equal(header!.token.length, 0);
    t.same(open(packet, 7 + destination.length + 16, clientDestination), Buffer.concat([Buffer.of(0x1c, 2, 0, Math.min(reason.length, 63)), Buffer.from(reason.slice(0, 63))]));
  }
});

/** RFC 9001 §5.4 and §5.3, from the other side. */
function open(packet: Buffer, tokenLengthAt: number, clientDestination: Buffer): Buffer {
  const { key, iv, hp } = serverInitialKeys(clientDestination);
  const numberAt = tokenLengthAt + 1 + 2;
  const mask = createCipheriv('aes-128-ecb', hp, null).update(packet.subarray(numberAt + 4, numberAt + 20));
  const header = Buffer.from(packet.subarray(0, numberAt + 1));
  header[0] = header[0]! ^ (mask[0]! & 0x0f);
  header[numberAt] = header[numberAt]! ^ mask[1]!;
  if ((header[0] & 3) !== 0 || header[numberAt] !== 0) throw new Error('one byte of packet number, 0');
  if ((packet.readUInt16BE(numberAt - 2) & 0x3fff) !== packet.length - numberAt) throw new Error('the length field');
  const decipher = createDecipheriv('aes-128-gcm', key, iv).setAAD(header);
  decipher.setAuthTag(packet.subarray(-16));
  return Buffer.concat([decipher.update(packet.subarray(numberAt + 1, -16)), decipher.final()]);
}
