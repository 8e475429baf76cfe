// Linux's socket calls through koffi: signatures, and errno as a negative result, the way the kernel
// itself answers. Nothing here knows what the bytes mean.
//
// Addresses of memory travel as numbers. Whoever stores one in a structure keeps the buffer it came from
// referenced from JavaScript for as long as the kernel may use it, or the collector frees it.

import { getSystemErrorName } from 'node:util';
import { loadKoffi, type Koffi } from '../native/koffi.js';

/** The calls a batched socket needs. Every result below zero is -errno. Tests put a wrapper in between. */
export interface SocketCalls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, length: number): number;
  getsockname(fd: number, address: Uint8Array, length: Uint8Array): number;
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, length: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, length: Uint8Array): number;
  close(fd: number): number;
  recvmmsg(fd: number, headersAddress: number, count: number, flags: number): number;
  sendmsg(fd: number, headerAddress: number, flags: number): number;
  sendmmsg(fd: number, headersAddress: number, count: number, flags: number): number;
  /** 1 when `text` is an address of that family, 0 otherwise. */
  inetPton(family: number, text: string, into: Uint8Array): number;
  inetNtop(family: number, address: Uint8Array): string;
  /** 0 when there is no such interface. */
  interfaceIndex(name: string): number;
  interfaceName(index: number): string | undefined;
  /** Where a buffer's bytes are; they stay there for as long as the buffer is referenced. */
  addressOf(buffer: Uint8Array): number;
  /** Calls back in the poll phase whenever the descriptor is readable; level-triggered. Must not throw. */
  watch(fd: number, onReadable: (status: number) => void): Watch;
}

export interface Watch {
  /** Again after `onReadable` got a status below zero, which stops the watch. */
  restart(): void;
  close(): void;
}

export type LoadedCalls = { readonly ok: true; readonly calls: SocketCalls } | { readonly ok: false; readonly reason: string };

let loaded: Promise<LoadedCalls> | undefined;

/** Binds the calls once per process; says why when it cannot. */
export const loadSocketCalls = (): Promise<LoadedCalls> => (loaded ??= load());

const load = async (): Promise<LoadedCalls> => {
  const library = await loadKoffi();
  if (!library.ok) return library;
  try {
    return { ok: true, calls: createCalls(library.koffi) };
  } catch (error) {
    return { ok: false, reason: `the optional package koffi does not serve: ${(error as Error).message}` };
  }
};

const INT = 'int';
const POINTER = 'void *';
/** An address as a number: no conversion per call. */
const ADDRESS = 'int64_t';
const SIZE = 'uint32_t';
const TEXT = 'const char *';

/** INET6_ADDRSTRLEN, and IF_NAMESIZE is less. */
const TEXT_BYTES = 46;

const createCalls = (koffi: Koffi): SocketCalls => {
  // The C library that Node itself is linked with, whichever it is.
  const libc = koffi.load(null);
  const bindCall = (name: string, ...parameters: string[]) => libc.func(name, INT, parameters) as (...args: unknown[]) => number;
  const socket = bindCall('socket', INT, INT, INT);
  const bind = bindCall('bind', INT, POINTER, SIZE);
  const getsockname = bindCall('getsockname', INT, POINTER, POINTER);
  const setsockopt = bindCall('setsockopt', INT, INT, INT, POINTER, SIZE);
  const getsockopt = bindCall('getsockopt', INT, INT, INT, POINTER, POINTER);
  const close = bindCall('close', INT);
  const recvmmsg = bindCall('recvmmsg', INT, ADDRESS, SIZE, INT, ADDRESS);
  // ssize_t, but never more than 64 KiB here.
  const sendmsg = bindCall('sendmsg', INT, ADDRESS, INT);
  const sendmmsg = bindCall('sendmmsg', INT, ADDRESS, SIZE, INT);
  const inetPton = bindCall('inet_pton', INT, TEXT, POINTER);
  const inetNtop = libc.func('inet_ntop', ADDRESS, [INT, POINTER, POINTER, SIZE]);
  const interfaceIndex = bindCall('if_nametoindex', TEXT);
  const interfaceName = libc.func('if_indextoname', ADDRESS, [SIZE, POINTER]);
  const text = Buffer.allocUnsafeSlow(TEXT_BYTES);
  const readText = (): string => text.toString('latin1', 0, text.indexOf(0));
  const check = (result: number): number => (result < 0 ? -koffi.errno() : result);
  if (typeof koffi.node.poll !== 'function') throw new Error('this version has no node.poll');

  return {
    socket: (family, type, protocol) => check(socket(family, type, protocol)),
    bind: (fd, address, length) => check(bind(fd, address, length)),
    getsockname: (fd, address, length) => check(getsockname(fd, address, length)),
    setsockopt: (fd, level, name, value, length) => check(setsockopt(fd, level, name, value, length)),
    getsockopt: (fd, level, name, value, length) => check(getsockopt(fd, level, name, value, length)),
    close: (fd) => check(close(fd)),
    recvmmsg: (fd, headers, count, flags) => check(recvmmsg(fd, headers, count, flags, 0)),
    sendmsg: (fd, header, flags) => check(sendmsg(fd, header, flags)),
    sendmmsg: (fd, headers, count, flags) => check(sendmmsg(fd, headers, count, flags)),
    inetPton: (family, address, into) => inetPton(family, address, into),
    inetNtop: (family, address) => (inetNtop(family, address, text, TEXT_BYTES) === 0 ? '' : readText()),
    interfaceIndex: (name) => interfaceIndex(name),
    interfaceName: (index) => (interfaceName(index, text) === 0 ? undefined : readText()),
    addressOf: (buffer) => {
      const address = Number(koffi.address(buffer));
      if (!Number.isSafeInteger(address)) throw new Error('an address beyond 2^53');
      return address;
    },
    watch: (fd, onReadable) => {
      const handle = koffi.node.poll(fd, onReadable);
      return { restart: () => handle.start(onReadable), close: () => handle.close() };
    },
  };
};

/** An errno as Node would throw it, so that messages are the same whichever socket is in use. */
export const systemError = (syscall: string, result: number, where: string): NodeJS.ErrnoException => {
  const code = getSystemErrorName(result);
  return Object.assign(new Error(`${syscall} ${code} ${where}`), { code, errno: result, syscall });
};
