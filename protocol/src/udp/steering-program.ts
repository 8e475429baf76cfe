// A classic BPF program that has the kernel hand each packet of a shared UDP port to the socket of the worker it is for
// (SO_ATTACH_REUSEPORT_CBPF, Linux 4.5; no privilege needed). The rule is quic/worker-steering.ts's:
//
//   long header    first four bytes of the destination id, at offset 6, modulo workers   (RFC 8999 §5.1)
//   short header   the same at offset 1                                                  (RFC 9000 §17.3)
//   address check  as for a short header                                                 (quic/address-check.ts)
//   anything else  a number no socket has: the kernel falls back to its hash of addresses and ports
//
// The program sees the UDP payload. A load beyond its end ends the program with 0: the first worker drops what is too short.

import { FIXED_BIT, LONG_HEADER_BIT } from '../quic/long-header.js';
import { ADDRESS_CHECK } from '../quic/address-check.js';

// <linux/bpf_common.h>
const LOAD_BYTE = 0x30;
const LOAD_WORD = 0x20;
const JUMP = 0x05;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_SET = 0x45;
const MODULO = 0x94;
const RETURN = 0x06;
const RETURN_A = 0x16;

const NO_SOCKET = 0xffff_ffff;
const LONG_ID_OFFSET = 6;
const SHORT_ID_OFFSET = 1;
export const INSTRUCTION_BYTES = 8;

/** The instructions: code u16, jump if true u8, if false u8, operand u32, little-endian as on every platform with batched sockets. */
export const steeringProgram = (workers: number): Buffer =>
  assemble([
    [LOAD_BYTE, 0, 0, 0],
    [JUMP_IF_SET, 5, 0, LONG_HEADER_BIT],
    [JUMP_IF_SET, 2, 0, FIXED_BIT],
    [JUMP_IF_EQUAL, 1, 0, ADDRESS_CHECK],
    [RETURN, 0, 0, NO_SOCKET],
    [LOAD_WORD, 0, 0, SHORT_ID_OFFSET],
    [JUMP, 0, 0, 1],
    [LOAD_WORD, 0, 0, LONG_ID_OFFSET],
    [MODULO, 0, 0, workers],
    [RETURN_A, 0, 0, 0],
  ]);

const assemble = (instructions: readonly (readonly [code: number, ifTrue: number, ifFalse: number, operand: number])[]): Buffer => {
  // Its own memory: the kernel gets its address.
  const bytes = Buffer.allocUnsafeSlow(instructions.length * INSTRUCTION_BYTES);
  instructions.forEach(([code, ifTrue, ifFalse, operand], index) => {
    const at = index * INSTRUCTION_BYTES;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(ifTrue, at + 2);
    bytes.writeUInt8(ifFalse, at + 3);
    bytes.writeUInt32LE(operand, at + 4);
  });
  return bytes;
};
