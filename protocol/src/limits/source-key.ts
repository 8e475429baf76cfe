// Which source an address belongs to, for limits per source: an IPv4 address is one source, and so is
// an IPv6 /64, because a /64 is what one subscriber gets (RFC 6177 §2) and whoever has it has 2^64
// addresses. Owns the parsing of address literals into keys; what is limited is source-limiter.ts's.

/**
 * IPv4: the address as u32. IPv6: its first 64 bits as four groups, `2001:db8:0:1` (at most 19 characters),
 * so that the two kinds can't meet.
 */
export type SourceKey = number | string;

const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const COLON = 0x3a;
const PERCENT = 0x25;

/**
 * The source of an address literal as the socket prints it. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`,
 * what a dual-stack socket shows; RFC 4291 §2.5.5.2) is its IPv4 address. A zone (`%eth0`) is ignored.
 * Undefined for anything that is not an address literal.
 */
export const sourceKey = (host: string): SourceKey | undefined => {
  const colon = host.indexOf(':');
  if (colon >= 0) return parseV6(host);
  const address = parseV4(host, 0, host.length);
  return address < 0 ? undefined : address;
};

/** Dotted decimal without leading zeros (RFC 6943 §3.1.1: other spellings are read differently by different parsers), or -1. */
const parseV4 = (text: string, start: number, end: number): number => {
  let address = 0;
  let octet = 0;
  let digits = 0;
  let dots = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || ++dots > 3) return -1;
      address = address * 256 + octet;
      octet = 0;
      digits = 0;
    } else {
      if (code < ZERO || code > NINE || (digits > 0 && octet === 0)) return -1;
      octet = octet * 10 + code - ZERO;
      digits++;
      if (octet > 255) return -1;
    }
  }
  return dots === 3 && digits > 0 ? address * 256 + octet : -1;
};

/** The eight groups of the address being parsed: parsing never nests, so one array serves every call. */
const groups = new Uint16Array(8);

/** RFC 4291 §2.2, all three forms. */
const parseV6 = (text: string): SourceKey | undefined => {
  const zone = text.indexOf('%');
  const end = zone < 0 ? text.length : zone;
  // An empty zone names no interface.
  if (zone >= 0 && zone === text.length - 1) return undefined;
  let count = 0;
  /** How many groups stand before `::`, or -1. */
  let gap = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return undefined;
    gap = 0;
    at = 2;
  }
  while (at < end) {
    if (count === 8) return undefined;
    let value = 0;
    const start = at;
    for (let digit; at < end && (digit = hexDigit(text.charCodeAt(at))) >= 0; at++) value = value * 16 + digit;
    const code = at < end ? text.charCodeAt(at) : PERCENT;
    if (code === DOT) {
      const address = count > 6 ? -1 : parseV4(text, start, end);
      if (address < 0) return undefined;
      groups[count++] = Math.floor(address / 65_536);
      groups[count++] = address % 65_536;
      break;
    }
    if (at === start || at - start > 4) return undefined;
    groups[count++] = value;
    if (at === end) break;
    if (code !== COLON) return undefined;
    at++;
    if (at < end && text.charCodeAt(at) === COLON) {
      if (gap >= 0) return undefined;
      gap = count;
      at++;
    } else if (at === end) {
      return undefined;
    }
  }
  return spread(count, gap) ? keyOfGroups() : undefined;
};

/** Moves the groups behind `::` to the end and fills the gap with zeros; false if the count is wrong. */
const spread = (count: number, gap: number): boolean => {
  if (gap < 0) return count === 8;
  if (count > 7) return false;
  groups.copyWithin(8 - (count - gap), gap, count);
  groups.fill(0, gap, 8 - (count - gap));
  return true;
};

const keyOfGroups = (): SourceKey => {
  const [a, b, c, d, e, f, g, h] = groups as unknown as readonly [number, number, number, number, number, number, number, number];
  if (a === 0 && b === 0 && c === 0 && d === 0 && e === 0 && f === 0xffff) return g * 65_536 + h;
  return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}:${d.toString(16)}`;
};

/** 0–15, or -1. */
const hexDigit = (code: number): number => {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const letter = code | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
};
