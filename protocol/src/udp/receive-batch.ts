// Memory for one recvmmsg: message headers, senders, control data and the packets themselves. With
// UDP_GRO the kernel hands over packets of one sender as one message and says where they part.

import type { SocketCalls } from './linux-calls.js';
import {
  CMSG_LEN_S32,
  CMSG_LENGTH_WORD,
  CMSG_LEVEL_WORD,
  CMSG_TYPE_WORD,
  CMSG_VALUE_WORD,
  CONTROL_BYTES,
  CONTROL_LENGTH_WORD,
  CONTROL_POINTER_WORD,
  CONTROL_WORDS,
  IOV_COUNT_WORD,
  IOV_POINTER_WORD,
  IOVEC_BASE_WORD,
  IOVEC_BYTES,
  IOVEC_LENGTH_WORD,
  IOVEC_WORDS,
  MESSAGE_LENGTH_WORD,
  MMSGHDR_BYTES,
  MMSGHDR_WORDS,
  MSG_DONTWAIT,
  NAME_BYTES,
  NAME_LENGTH_WORD,
  NAME_POINTER_WORD,
  SOL_UDP,
  storeWide,
  UDP_GRO,
  wordsOf,
} from './linux-layout.js';
import { SenderCache } from './sender-cache.js';

/** One page of headers; what a system call costs is spread over as many messages. */
export const BATCH_MESSAGES = 64;
/** The largest UDP payload, and the most that GRO joins. */
const MESSAGE_BYTES = 65_536;
/** 17 cache lines further each time: at multiples of 64 KiB all messages would compete for the same cache sets. */
const MESSAGE_STRIDE = MESSAGE_BYTES + 17 * 64;

export class ReceiveBatch {
  readonly senders: SenderCache;
  readonly #calls: SocketCalls;
  // The kernel knows these five by address alone: they live as long as the batch.
  readonly #data = Buffer.allocUnsafeSlow(BATCH_MESSAGES * MESSAGE_STRIDE);
  readonly #names = Buffer.allocUnsafeSlow(BATCH_MESSAGES * NAME_BYTES).fill(0);
  readonly #vectors = Buffer.allocUnsafeSlow(BATCH_MESSAGES * IOVEC_BYTES);
  readonly #control = Buffer.allocUnsafeSlow(BATCH_MESSAGES * CONTROL_BYTES).fill(0);
  readonly #headers = Buffer.allocUnsafeSlow(BATCH_MESSAGES * MMSGHDR_BYTES).fill(0);
  readonly #headerWords = wordsOf(this.#headers);
  readonly #controlWords = wordsOf(this.#control);
  readonly #headersAddress: number;

  constructor(calls: SocketCalls) {
    this.#calls = calls;
    this.senders = new SenderCache(calls, this.#names);
    const data = calls.addressOf(this.#data);
    const names = calls.addressOf(this.#names);
    const vectors = calls.addressOf(this.#vectors);
    const control = calls.addressOf(this.#control);
    const vectorWords = wordsOf(this.#vectors);
    for (let i = 0; i < BATCH_MESSAGES; i++) {
      storeWide(vectorWords, i * IOVEC_WORDS + IOVEC_BASE_WORD, data + i * MESSAGE_STRIDE);
      storeWide(vectorWords, i * IOVEC_WORDS + IOVEC_LENGTH_WORD, MESSAGE_BYTES);
      const header = i * MMSGHDR_WORDS;
      storeWide(this.#headerWords, header + NAME_POINTER_WORD, names + i * NAME_BYTES);
      storeWide(this.#headerWords, header + IOV_POINTER_WORD, vectors + i * IOVEC_BYTES);
      storeWide(this.#headerWords, header + IOV_COUNT_WORD, 1);
      storeWide(this.#headerWords, header + CONTROL_POINTER_WORD, control + i * CONTROL_BYTES);
      this.#arm(i);
    }
    this.#headersAddress = calls.addressOf(this.#headers);
  }

  /** Takes what is waiting, without waiting: the number of messages, or -errno. Earlier messages are overwritten. */
  receive(fd: number): number {
    return this.#calls.recvmmsg(fd, this.#headersAddress, BATCH_MESSAGES, MSG_DONTWAIT);
  }

  /** Bytes of the `index`-th message. */
  length(index: number): number {
    return this.#headerWords[index * MMSGHDR_WORDS + MESSAGE_LENGTH_WORD]!;
  }

  /** Bytes of each packet in the message but the last; the whole message where the kernel joined nothing. */
  segment(index: number): number {
    const control = index * CONTROL_WORDS;
    const words = this.#controlWords;
    const isGro =
      this.#headerWords[index * MMSGHDR_WORDS + CONTROL_LENGTH_WORD]! >= CMSG_LEN_S32 &&
      words[control + CMSG_LENGTH_WORD] === CMSG_LEN_S32 &&
      words[control + CMSG_LEVEL_WORD] === SOL_UDP &&
      words[control + CMSG_TYPE_WORD] === UDP_GRO;
    const length = this.length(index);
    return isGro && words[control + CMSG_VALUE_WORD]! > 0 ? words[control + CMSG_VALUE_WORD]! : length;
  }

  /** Bytes `start` to `end` of the message, in place. */
  packet(index: number, start: number, end: number): Buffer {
    const at = index * MESSAGE_STRIDE;
    return this.#data.subarray(at + start, at + end);
  }

  /** Makes the first `count` messages ready for the next call, which reads these two lengths as the room there is. */
  rearm(count: number): void {
    for (let i = 0; i < count; i++) this.#arm(i);
  }

  #arm(index: number): void {
    this.#headerWords[index * MMSGHDR_WORDS + NAME_LENGTH_WORD] = NAME_BYTES;
    this.#headerWords[index * MMSGHDR_WORDS + CONTROL_LENGTH_WORD] = CONTROL_BYTES;
  }
}
