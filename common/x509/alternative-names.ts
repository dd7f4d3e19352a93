/** Subject alternative names. Source: RFC 5280 4.2.1.6. */
import { type Asn1, contentOf, decodeDer, encodeDer, isKind, partsOf, primitive, sequence } from './forge.ts';
import { ipFromBytes, ipToBytes } from './ip-address.ts';
import { refusal } from './refuse.ts';

/** Names by kind. */
export interface AlternativeNames {
  /** Lower case; may begin with "*.". */
  dnsNames: string[];
  /** Canonical, see canonicalIp. */
  ipAddresses: string[];
  uris: string[];
  /** Every other kind as text: "email:a@b", "[0]:a00b…". */
  others: string[];
}

const tags = { email: 1, dns: 2, uri: 6, ip: 7 } as const;
/** More than any API server needs; keeps certificates from growing without bound. */
const maxNames = 256;

/** The extension value for these names. Throws AppError invalid-request for a name that its kind does not allow. */
export function encodeAlternativeNames(names: Omit<AlternativeNames, 'others'>): Buffer {
  if (names.dnsNames.length + names.ipAddresses.length + names.uris.length > maxNames) {
    throw refusal(`a certificate can have at most ${maxNames} alternative names`);
  }
  return encodeDer(
    sequence(
      ...names.dnsNames.map((name) => primitive(tags.dns, Buffer.from(checkedDns(name), 'latin1'))),
      ...names.ipAddresses.map((address) => primitive(tags.ip, checkedIp(ipToBytes(address)))),
      ...names.uris.map((uri) => primitive(tags.uri, Buffer.from(checkedAscii(uri), 'latin1'))),
    ),
  );
}

/** Reads the extension value. Throws AppError invalid-request for malformed, empty or too many names. */
export function readAlternativeNames(value: Uint8Array): AlternativeNames {
  const names: AlternativeNames = { dnsNames: [], ipAddresses: [], uris: [], others: [] };
  const parts = partsOf(decodeDer(value), 'sequence');
  if (parts.length === 0 || parts.length > maxNames) {
    throw refusal(`the alternative names must be between 1 and ${maxNames}`);
  }
  for (const part of parts) readInto(names, part);
  return names;
}

function readInto(names: AlternativeNames, part: Asn1): void {
  if (isKind(part, tags.dns)) {
    names.dnsNames.push(checkedAscii(contentOf(part, tags.dns).toString('latin1')).toLowerCase());
  } else if (isKind(part, tags.ip)) {
    names.ipAddresses.push(ipFromBytes(checkedIp(contentOf(part, tags.ip))) ?? '');
  } else if (isKind(part, tags.uri)) {
    names.uris.push(checkedAscii(contentOf(part, tags.uri).toString('latin1')));
  } else if (isKind(part, tags.email)) {
    names.others.push(`email:${checkedAscii(contentOf(part, tags.email).toString('latin1'))}`);
  } else {
    names.others.push(`[${part.type}]:${encodeDer(part).toString('hex').slice(0, 100)}`);
  }
}

/**
 * The DNS name in lower case. Labels of letters, digits, "-" and "_", the first may be "*"; no dot at the end.
 *
 * @throws AppError invalid-request
 */
export function checkedDns(name: string): string {
  const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
  if (name.length > 253 || !labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))) {
    throw refusal(`the DNS name ${JSON.stringify(name.slice(0, 100))} is malformed`);
  }
  return name.toLowerCase();
}

function checkedIp(octets: Buffer | undefined): Buffer {
  if (octets?.length === 4 || octets?.length === 16) return octets;
  throw refusal('an IP address among the alternative names is malformed: give it without prefix length or zone');
}

function checkedAscii(text: string): string {
  if (text.length > 2048 || !/^[\x21-\x7e]+$/.test(text)) {
    throw refusal('one of the alternative names is not printable ASCII');
  }
  return text;
}
