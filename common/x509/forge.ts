/**
 * DER, built and read with node-forge: the only file that imports it. forge knows RSA only and signs slowly,
 * so that no key, signature or certificate of forge is used, only its ASN.1. Source: X.690.
 */
import forge from 'node-forge';
import { refusal } from './refuse.ts';

const { asn1 } = forge;
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class;

/** One ASN.1 value. Rooms build and read it with the functions of this file only. */
export type Asn1 = forge.asn1.Asn1;

/** What a value is: a universal type, or a context-specific tag by its number. */
export type Kind = keyof typeof types | number;

const types = {
  boolean: asn1.Type.BOOLEAN,
  integer: asn1.Type.INTEGER,
  'bit-string': asn1.Type.BITSTRING,
  'octet-string': asn1.Type.OCTETSTRING,
  null: asn1.Type.NULL,
  oid: asn1.Type.OID,
  utf8: asn1.Type.UTF8,
  printable: asn1.Type.PRINTABLESTRING,
  teletex: 20,
  ia5: asn1.Type.IA5STRING,
  bmp: asn1.Type.BMPSTRING,
  'utc-time': asn1.Type.UTCTIME,
  'generalized-time': asn1.Type.GENERALIZEDTIME,
  sequence: asn1.Type.SEQUENCE,
  set: asn1.Type.SET,
};

/** Deeper than any certificate; forge's own limit is 256. */
const maxDepth = 32;

/**
 * Reads exactly one value. Bytes that are not DER (BER lengths, padded integers, trailing bytes) are refused, so that
 * encodeDer of any part gives the very bytes that were read: signatures and names can be taken from the parts.
 *
 * @throws AppError invalid-request, or forge's own errors (wrap with refuseUnreadable)
 */
export function decodeDer(der: Uint8Array): Asn1 {
  // the published types know only a boolean second argument; the options are documented in forge's lib/asn1.js
  const fromDer = asn1.fromDer as unknown as (bytes: string, options: object) => Asn1;
  const value = fromDer(Buffer.from(der).toString('latin1'), { strict: true, decodeBitStrings: false, maxDepth });
  if (!encodeDer(value).equals(der)) throw refusal('the bytes are not DER: encode them anew');
  return value;
}

/** The DER of a value. */
export function encodeDer(value: Asn1): Buffer {
  return Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
}

/** A constructed value: a sequence, a set, or an explicit context tag. */
export function constructed(kind: Kind, ...parts: Asn1[]): Asn1 {
  return asn1.create(classOf(kind), typeOf(kind), true, parts);
}

/** A sequence. */
export function sequence(...parts: Asn1[]): Asn1 {
  return constructed('sequence', ...parts);
}

/** A primitive value with these content bytes. */
export function primitive(kind: Kind, content: Uint8Array): Asn1 {
  return asn1.create(classOf(kind), typeOf(kind), false, Buffer.from(content).toString('latin1'));
}

/** An object identifier. */
export function oid(dotted: string): Asn1 {
  return asn1.create(UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(dotted).getBytes());
}

/** A non-negative integer from hexadecimal digits. */
export function integer(hex: string): Asn1 {
  const digits = hex.length % 2 === 0 ? hex : `0${hex}`;
  return primitive('integer', Buffer.from(/^[89a-f]/i.test(digits) ? `00${digits}` : digits, 'hex'));
}

/** A bit string of whole bytes, or with that many unused bits at its end. */
export function bitString(bytes: Iterable<number>, unusedBits = 0): Asn1 {
  return primitive('bit-string', Buffer.from([unusedBits, ...bytes]));
}

/** UTCTime until 2049, then GeneralizedTime (RFC 5280 4.1.2.5); whole seconds, cut. */
export function time(date: Date): Asn1 {
  const short = date.getUTCFullYear() >= 1950 && date.getUTCFullYear() < 2050;
  const text = short ? asn1.dateToUtcTime(date) : asn1.dateToGeneralizedTime(date);
  return asn1.create(UNIVERSAL, short ? asn1.Type.UTCTIME : asn1.Type.GENERALIZEDTIME, false, text);
}

/** True when the value is of that kind. */
export function isKind(value: Asn1 | undefined, kind: Kind): boolean {
  return value?.tagClass === classOf(kind) && value.type === typeOf(kind);
}

/** The parts of a constructed value. Throws AppError invalid-request for another kind. */
export function partsOf(value: Asn1 | undefined, kind: Kind): Asn1[] {
  if (value !== undefined && isKind(value, kind) && value.constructed && Array.isArray(value.value)) return value.value;
  throw refusal(`the bytes hold something else where a ${nameOf(kind)} must stand`);
}

/** The content bytes of a primitive value. Throws AppError invalid-request for another kind. */
export function contentOf(value: Asn1 | undefined, kind: Kind): Buffer {
  if (value !== undefined && isKind(value, kind) && !value.constructed && typeof value.value === 'string') {
    // forge turns the content of a BMPString into characters
    return value.type === asn1.Type.BMPSTRING
      ? Buffer.from(value.value, 'utf16le').swap16()
      : Buffer.from(value.value, 'latin1');
  }
  throw refusal(`the bytes hold something else where a ${nameOf(kind)} must stand`);
}

/** An object identifier as dotted text; in hex where a number in it is beyond 53 bits. Throws AppError invalid-request for another kind. */
export function oidOf(value: Asn1 | undefined): string {
  const content = contentOf(value, 'oid');
  const padded = content.some((byte, index) => byte === 0x80 && (content[index - 1] ?? 0) < 0x80);
  if (content.length === 0 || content.length > 64 || padded || (content.at(-1) ?? 0) >= 0x80) {
    throw refusal('the bytes hold a malformed object identifier');
  }
  // seven groups of 7 bits are below forge's limit of 53 bits
  if (/[\x80-\xff]{7}/.test(content.toString('latin1'))) return `oid:${content.toString('hex')}`;
  return asn1.derToOid(content.toString('latin1'));
}

/** The bytes of a bit string of whole bytes. Throws AppError invalid-request for another kind. */
export function bitsOf(value: Asn1 | undefined): Buffer {
  const content = contentOf(value, 'bit-string');
  if (content[0] !== 0) throw refusal('the bytes hold a bit string that is not of whole bytes');
  return content.subarray(1);
}

/** DER true is ff, false is 00 (X.690 11.1). Throws AppError invalid-request for anything else. */
export function booleanOf(value: Asn1 | undefined): boolean {
  const content = contentOf(value, 'boolean');
  if (content.length !== 1 || (content[0] !== 0 && content[0] !== 0xff)) {
    throw refusal('the bytes hold a malformed boolean');
  }
  return content[0] === 0xff;
}

function classOf(kind: Kind): forge.asn1.Class {
  return typeof kind === 'number' ? CONTEXT_SPECIFIC : UNIVERSAL;
}

function typeOf(kind: Kind): number {
  return typeof kind === 'number' ? kind : types[kind];
}

function nameOf(kind: Kind): string {
  return typeof kind === 'number' ? `[${kind}]` : kind;
}
