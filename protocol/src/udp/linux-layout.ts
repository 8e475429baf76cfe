// The C structures and numbers of Linux's socket calls, as bytes: 64-bit little-endian (x64, arm64), the
// same with glibc and musl. From <linux/socket.h>, <linux/udp.h> and <asm-generic/socket.h>.
//
// sockaddr_in, 16 bytes                      sockaddr_in6, 28 bytes
//   0        2        4            8          0        2        4          8            24        28
//   +--------+--------+------------+------+   +--------+--------+----------+------------+---------+
//   | family | port BE| address    | zero |   | family | port BE| flowinfo | address    | scope id|
//   +--------+--------+------------+------+   +--------+--------+----------+------------+---------+
//
// iovec, 16 bytes          mmsghdr, 64 bytes: a msghdr of 56, and the length received or sent
//   0         8             0      8         16    24       32        40            48      56       60
//   +---------+--------+    +------+---------+-----+--------+---------+-------------+-------+--------+----+
//   | base    | length |    | name | namelen | iov | iovlen | control | controllen  | flags | length | –  |
//   +---------+--------+    +------+---------+-----+--------+---------+-------------+-------+--------+----+
//
// cmsghdr with its value, 24 bytes with padding
//   0               8       12     16
//   +---------------+-------+------+---------------------------------------------+------
//   | length u64    | level | type | UDP_SEGMENT: u16 (len 18), UDP_GRO: s32 (20) | pad
//   +---------------+-------+------+---------------------------------------------+------

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0o4000 | 0o2000000;
export const MSG_DONTWAIT = 0x40;

export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const SO_REUSEPORT = 15;
/** Takes a sock_fprog: instructions u16, padding, their address. */
export const SO_ATTACH_REUSEPORT_CBPF = 51;
export const SOCK_FPROG_BYTES = 16;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
/** Beyond net.core.[rw]mem_max; needs CAP_NET_ADMIN. */
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const IPPROTO_IPV6 = 41;
export const IPV6_V6ONLY = 26;
export const SOL_UDP = 17;
export const UDP_SEGMENT = 103;
export const UDP_GRO = 104;

export const EINTR = 4;
export const EIO = 5;
export const EINVAL = 22;
export const EMSGSIZE = 90;
export const EOPNOTSUPP = 95;

export const SOCKADDR_IN_BYTES = 16;
export const SOCKADDR_IN6_BYTES = 28;
/** Room for either address, and a multiple of eight. */
export const NAME_BYTES = 32;
export const IOVEC_BYTES = 16;
export const MMSGHDR_BYTES = 64;
/** Room for one cmsghdr with a 32-bit value. */
export const CONTROL_BYTES = 24;

// Offsets in 32-bit words, for Int32Array and Uint32Array views.
export const MMSGHDR_WORDS = MMSGHDR_BYTES / 4;
export const NAME_POINTER_WORD = 0;
export const NAME_LENGTH_WORD = 2;
export const IOV_POINTER_WORD = 4;
export const IOV_COUNT_WORD = 6;
export const CONTROL_POINTER_WORD = 8;
export const CONTROL_LENGTH_WORD = 10;
export const MESSAGE_LENGTH_WORD = 14;
export const IOVEC_WORDS = IOVEC_BYTES / 4;
export const IOVEC_BASE_WORD = 0;
export const IOVEC_LENGTH_WORD = 2;
export const NAME_WORDS = NAME_BYTES / 4;
export const CONTROL_WORDS = CONTROL_BYTES / 4;
export const CMSG_LENGTH_WORD = 0;
export const CMSG_LEVEL_WORD = 2;
export const CMSG_TYPE_WORD = 3;
export const CMSG_VALUE_WORD = 4;
/** CMSG_LEN(2) and CMSG_LEN(4): the header's 16 bytes and the value's. */
export const CMSG_LEN_U16 = 18;
export const CMSG_LEN_S32 = 20;

const TWO_POW_32 = 0x1_0000_0000;

/** Stores a pointer or a size_t of up to 53 bits as two little-endian words. */
export const storeWide = (words: Uint32Array, at: number, value: number): void => {
  words[at] = value % TWO_POW_32;
  words[at + 1] = Math.floor(value / TWO_POW_32);
};

/** The words of a buffer from allocUnsafeSlow, which starts its own ArrayBuffer. */
export const wordsOf = (bytes: Buffer): Uint32Array => new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
