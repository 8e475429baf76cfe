// A scripted DNS server on UDP: TXT answers of whatever size the queried name asks for (RFC 1035, EDNS
// RFC 6891). Just enough for dig; it parses nothing it does not need.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { Test } from 'tap';

const HEADER_BYTES = 12;
const TYPE_TXT = 16;
const CLASS_IN = 1;
/** A TXT record's strings are at most 255 bytes (RFC 1035 §3.3.14). */
const MAX_STRING_BYTES = 255;
/** Name pointer, type, class, TTL, length. */
const RECORD_HEADER_BYTES = 12;

export interface DnsServer {
  /** host:port */
  readonly address: string;
}

/** Answers a TXT query for `NNN.size.test` with a message of exactly NNN bytes; the text repeats the name's digits. */
export const startDnsServer = async (t: Test): Promise<DnsServer> => {
  const socket = createSocket('udp4');
  socket.on('message', (query, from) => socket.send(answer(query), from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return { address: `127.0.0.1:${socket.address().port}` };
};

const answer = (query: Buffer): Buffer => {
  const questionEnd = endOfName(query, HEADER_BYTES) + 4;
  const question = query.subarray(HEADER_BYTES, questionEnd);
  const size = query.toString('latin1', HEADER_BYTES + 1, HEADER_BYTES + 1 + query[HEADER_BYTES]!);
  const text = txtData(Number(size) - HEADER_BYTES - question.length - RECORD_HEADER_BYTES, size);
  const header = Buffer.from([query[0]!, query[1]!, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]); // authoritative answer, one of each
  const record = Buffer.alloc(RECORD_HEADER_BYTES);
  record.writeUInt16BE(0xc000 | HEADER_BYTES, 0);
  record.writeUInt16BE(TYPE_TXT, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt16BE(text.length, 10);
  return Buffer.concat([header, question, record, text]);
};

/** Strings that fill `bytes` exactly, length bytes included. */
const txtData = (bytes: number, fill: string): Buffer => {
  const data = Buffer.alloc(bytes, fill);
  for (let at = 0; at < bytes; at += MAX_STRING_BYTES + 1) data[at] = Math.min(MAX_STRING_BYTES, bytes - at - 1);
  return data;
};

const endOfName = (message: Buffer, start: number): number => {
  let at = start;
  while (message[at] !== 0 && at < message.length) at += message[at]! + 1;
  return at + 1;
};
