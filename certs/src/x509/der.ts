// Typed constructors and readers over forge's ASN.1, the few DER types a certificate is made of (X.690 §8).
// Owns bytes ↔ nodes; what the nodes mean is certificate-builder.ts and certificate-reader.ts.

import forge from 'node-forge';

const { asn1 } = forge;
const { Class, Type } = asn1;

export type Der = forge.asn1.Asn1;

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const primitive = (type: forge.asn1.Type, value: string): Der => asn1.create(Class.UNIVERSAL, type, false, value);

export const sequence = (...items: readonly Der[]): Der => asn1.create(Class.UNIVERSAL, Type.SEQUENCE, true, [...items]);
export const set = (...items: readonly Der[]): Der => asn1.create(Class.UNIVERSAL, Type.SET, true, [...items]);
export const oid = (dotted: string): Der => primitive(Type.OID, asn1.oidToDer(dotted).getBytes());
/** Big-endian two's complement, already minimal. */
export const integer = (bytes: Uint8Array): Der => primitive(Type.INTEGER, latin1(bytes));
export const booleanTrue = (): Der => primitive(Type.BOOLEAN, '\xff');
export const octetString = (bytes: Uint8Array): Der => primitive(Type.OCTETSTRING, latin1(bytes));
export const bitString = (bytes: Uint8Array, unusedBits = 0): Der =>
  primitive(Type.BITSTRING, String.fromCharCode(unusedBits) + latin1(bytes));
export const utf8String = (text: string): Der => primitive(Type.UTF8, latin1(Buffer.from(text, 'utf8')));

/** An IMPLICIT context-specific primitive, such as one GeneralName. */
export const contextPrimitive = (tag: number, bytes: Uint8Array): Der =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, false, latin1(bytes));
/** A context-specific constructed node: EXPLICIT around one item, or an IMPLICIT sequence. */
export const contextConstructed = (tag: number, ...items: readonly Der[]): Der =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [...items]);

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050; seconds always, never fractions, always Z. */
export const time = (date: Date): Der => {
  const digits = date.toISOString().replace(/\.\d+Z$/, '').replace(/[-:T]/g, '');
  return date.getUTCFullYear() < 2050
    ? primitive(Type.UTCTIME, `${digits.slice(2)}Z`)
    : primitive(Type.GENERALIZEDTIME, `${digits}Z`);
};

export const encode = (node: Der): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1');

/** Strict: no trailing bytes, and BIT STRINGs stay bytes rather than being guessed at. Throws on anything else. */
export const decode = (bytes: Uint8Array): Der => {
  // @types/node-forge knows only the older boolean parameter.
  const fromDer = asn1.fromDer as unknown as (
    bytes: string,
    options: { strict: boolean; parseAllBytes: boolean; decodeBitStrings: boolean },
  ) => Der;
  return fromDer(latin1(bytes), { strict: true, parseAllBytes: true, decodeBitStrings: false });
};

/** The items of a constructed node. Throws on a primitive. */
export const children = (node: Der | undefined): Der[] => {
  if (!node || !Array.isArray(node.value)) throw new Error('a constructed ASN.1 value was expected');
  return node.value;
};

/** The content bytes of a primitive node. Throws on a constructed one. */
export const content = (node: Der | undefined): Buffer => {
  if (!node || typeof node.value !== 'string') throw new Error('a primitive ASN.1 value was expected');
  return Buffer.from(node.value, 'latin1');
};

export const readOid = (node: Der | undefined): string => asn1.derToOid(content(node).toString('latin1'));

export const isUniversal = (node: Der | undefined, type: forge.asn1.Type): node is Der =>
  node?.tagClass === Class.UNIVERSAL && node.type === type;
export const isContext = (node: Der | undefined, tag: number): node is Der =>
  node?.tagClass === Class.CONTEXT_SPECIFIC && (node.type as number) === tag;

/** Reads what `time` writes; a two-digit year below 50 is 20xx (RFC 5280 §4.1.2.5.1). */
export const readTime = (node: Der | undefined): Date => {
  const generalized = isUniversal(node, Type.GENERALIZEDTIME);
  if (!generalized && !isUniversal(node, Type.UTCTIME)) throw new Error('a time was expected');
  const text = content(node).toString('latin1');
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (!match || (match[1]!.length === 4) !== generalized) throw new Error('a time is not in the form RFC 5280 asks for');
  const [yearText, month, day, hour, minute, second] = match.slice(1) as [string, string, string, string, string, string];
  const year = generalized ? Number(yearText) : Number(yearText) + (Number(yearText) < 50 ? 2000 : 1900);
  const iso = `${String(year).padStart(4, '0')}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) throw new Error('a time does not exist');
  return date;
};

export { Type as DerType };
