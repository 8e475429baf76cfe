// Sends a run of packets with one system call: sendmsg with UDP_SEGMENT (GSO), the kernel cutting the run
// up as late as it can. Where the kernel or the route cannot, one sendmmsg for all.
//
// What the kernel does not take is lost and counted, as UDP does. A queue of our own on EAGAIN would only add
// delay: the socket's buffer already holds 20 ms of full speed, and QUIC paces itself by what gets lost.

import type { Destination } from './destination-cache.js';
import type { SocketCalls } from './linux-calls.js';
import {
  CMSG_LEN_U16,
  CMSG_LENGTH_WORD,
  CMSG_LEVEL_WORD,
  CMSG_TYPE_WORD,
  CMSG_VALUE_WORD,
  CONTROL_BYTES,
  CONTROL_LENGTH_WORD,
  CONTROL_POINTER_WORD,
  EINTR,
  EINVAL,
  EIO,
  EMSGSIZE,
  EOPNOTSUPP,
  IOV_COUNT_WORD,
  IOV_POINTER_WORD,
  IOVEC_BASE_WORD,
  IOVEC_BYTES,
  IOVEC_LENGTH_WORD,
  IOVEC_WORDS,
  MMSGHDR_BYTES,
  MMSGHDR_WORDS,
  MSG_DONTWAIT,
  NAME_BYTES,
  NAME_LENGTH_WORD,
  NAME_POINTER_WORD,
  SOL_UDP,
  storeWide,
  UDP_SEGMENT,
  wordsOf,
} from './linux-layout.js';
import { sockaddrBytes } from './sockaddr.js';

/** UDP_MAX_SEGMENTS of every kernel so far; later ones take 128. */
export const MAX_SEGMENTS = 64;
/** A GSO send is one IP packet until it is cut: 65 535 bytes less the headers of IPv6 (40) and UDP (8). */
export const MAX_GSO_BYTES = 65_487;

/** How the kernel or a network device says that it cannot cut this run up. EINVAL and EMSGSIZE: the path's MTU is below the segment. EIO: no checksum offload. */
const SEGMENTATION_REFUSED: readonly number[] = [-EINVAL, -EMSGSIZE, -EIO, -EOPNOTSUPP];

export class RunSender {
  /** Packets the kernel would not take. */
  errors = 0;
  readonly #calls: SocketCalls;
  readonly #canSegment: boolean;
  // The kernel knows these by address alone: they live as long as the sender.
  readonly #name = Buffer.allocUnsafeSlow(NAME_BYTES).fill(0);
  readonly #control = Buffer.allocUnsafeSlow(CONTROL_BYTES).fill(0);
  readonly #vectors = Buffer.allocUnsafeSlow(MAX_SEGMENTS * IOVEC_BYTES).fill(0);
  readonly #headers = Buffer.allocUnsafeSlow(MAX_SEGMENTS * MMSGHDR_BYTES).fill(0);
  readonly #controlWords = wordsOf(this.#control);
  readonly #vectorWords = wordsOf(this.#vectors);
  readonly #headerWords = wordsOf(this.#headers);
  readonly #headersAddress: number;
  readonly #controlAddress: number;
  /** Callers send from the same buffer every time; holding it keeps its address true. */
  #run: Buffer | undefined;
  #runAddress = 0;
  #destination: Destination | undefined;

  /** @param canSegment whether the kernel knows UDP_SEGMENT: before Linux 4.18 it would ignore it and send one huge packet */
  constructor(calls: SocketCalls, family: number, canSegment: boolean) {
    this.#calls = calls;
    this.#canSegment = canSegment;
    this.#controlAddress = calls.addressOf(this.#control);
    this.#headersAddress = calls.addressOf(this.#headers);
    const name = calls.addressOf(this.#name);
    const vectors = calls.addressOf(this.#vectors);
    for (let i = 0; i < MAX_SEGMENTS; i++) {
      const header = i * MMSGHDR_WORDS;
      storeWide(this.#headerWords, header + NAME_POINTER_WORD, name);
      this.#headerWords[header + NAME_LENGTH_WORD] = sockaddrBytes(family);
      storeWide(this.#headerWords, header + IOV_POINTER_WORD, vectors + i * IOVEC_BYTES);
      storeWide(this.#headerWords, header + IOV_COUNT_WORD, 1);
    }
    storeWide(this.#controlWords, CMSG_LENGTH_WORD, CMSG_LEN_U16);
    this.#controlWords[CMSG_LEVEL_WORD] = SOL_UDP;
    this.#controlWords[CMSG_TYPE_WORD] = UDP_SEGMENT;
  }

  send(fd: number, run: Buffer, length: number, segment: number, destination: Destination): void {
    const packets = Math.ceil(length / segment);
    if (!destination.sockaddr || length > run.length) {
      this.errors += packets;
      return;
    }
    if (destination !== this.#destination) {
      this.#name.set(destination.sockaddr);
      this.#destination = destination;
    }
    if (run !== this.#run) {
      this.#runAddress = this.#calls.addressOf(run);
      this.#run = run;
    }
    const most = Math.min(MAX_SEGMENTS, Math.max(1, Math.floor(MAX_GSO_BYTES / segment))) * segment;
    for (let start = 0; start < length; start += most) this.#sendPart(fd, start, Math.min(start + most, length), segment, destination);
  }

  #sendPart(fd: number, start: number, end: number, segment: number, destination: Destination): void {
    const isOne = end - start <= segment;
    if (isOne || (this.#canSegment && destination.canSegment)) {
      const sent = this.#sendWhole(fd, start, end, isOne ? 0 : segment);
      if (sent >= 0) return;
      if (isOne || !SEGMENTATION_REFUSED.includes(sent)) {
        this.errors += Math.ceil((end - start) / segment);
        return;
      }
    }
    const sent = this.#sendEach(fd, start, end, segment);
    // What failed both ways says nothing about segmentation.
    if (sent > 0) destination.canSegment = false;
  }

  /** One sendmsg; `segment` 0 for a single packet. */
  #sendWhole(fd: number, start: number, end: number, segment: number): number {
    this.#pointAt(0, start, end);
    // Only during this call: sendmmsg shares the first header.
    storeWide(this.#headerWords, CONTROL_POINTER_WORD, segment > 0 ? this.#controlAddress : 0);
    this.#headerWords[CONTROL_LENGTH_WORD] = segment > 0 ? CONTROL_BYTES : 0;
    this.#controlWords[CMSG_VALUE_WORD] = segment;
    for (;;) {
      const sent = this.#calls.sendmsg(fd, this.#headersAddress, MSG_DONTWAIT);
      if (sent !== -EINTR) return sent;
    }
  }

  /** One packet per message; returns how many left. */
  #sendEach(fd: number, start: number, end: number, segment: number): number {
    let count = 0;
    for (let at = start; at < end; at += segment) this.#pointAt(count++, at, Math.min(at + segment, end));
    storeWide(this.#headerWords, CONTROL_POINTER_WORD, 0);
    this.#headerWords[CONTROL_LENGTH_WORD] = 0;
    let sent = 0;
    for (let next = 0; next < count; ) {
      const taken = this.#calls.sendmmsg(fd, this.#headersAddress + next * MMSGHDR_BYTES, count - next, MSG_DONTWAIT);
      if (taken === -EINTR) continue;
      if (taken > 0) {
        sent += taken;
        next += taken;
      } else {
        // The error is that of the first message left; the others may still go.
        this.errors++;
        next++;
      }
    }
    return sent;
  }

  #pointAt(message: number, start: number, end: number): void {
    storeWide(this.#vectorWords, message * IOVEC_WORDS + IOVEC_BASE_WORD, this.#runAddress + start);
    this.#vectorWords[message * IOVEC_WORDS + IOVEC_LENGTH_WORD] = end - start;
  }
}
