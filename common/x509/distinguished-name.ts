/** Subject and issuer names: written as kubeadm writes them, read from whoever wrote them. Source: RFC 5280 4.1.2.4. */
import { type Asn1, constructed, contentOf, isKind, oid, oidOf, partsOf, primitive, sequence } from './forge.ts';
import { oids } from './oids.ts';
import { refusal } from './refuse.ts';

/** A name as it was read. */
export interface DistinguishedName {
  /** "O=system:nodes, CN=system:node:w1", in the order of the encoding; separators inside values are escaped. */
  text: string;
  commonNames: string[];
  organizations: string[];
  /** All other attributes as text, "OU=x" or "1.2.3=x". */
  others: string[];
}

/** Short names of attributes for people (RFC 4519). */
const shortNames: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
};

/** A name of O values, then CN, as Go writes it. Throws AppError invalid-request for a value that is empty or has control characters. */
export function encodeName(organizations: readonly string[], commonName: string): Asn1 {
  return sequence(
    ...organizations.map((value) => attribute(oids.organization, value)),
    attribute(oids.commonName, commonName),
  );
}

/** Reads a name. Throws AppError invalid-request for a structure that is no name or a value that is no text. */
export function readName(name: Asn1 | undefined): DistinguishedName {
  const found: DistinguishedName = { text: '', commonNames: [], organizations: [], others: [] };
  const texts: string[] = [];
  for (const relative of partsOf(name, 'sequence')) {
    for (const pair of partsOf(relative, 'set')) {
      const [type, value, ...more] = partsOf(pair, 'sequence');
      if (more.length > 0) throw refusal('a name in the bytes has an attribute of more than two parts');
      const id = oidOf(type);
      const text = textOf(value);
      const shown = `${shortNames[id] ?? id}=${text.replace(/[,+=\\]/g, '\\$&')}`;
      texts.push(shown);
      if (id === oids.commonName) found.commonNames.push(text);
      else if (id === oids.organization) found.organizations.push(text);
      else found.others.push(shown);
    }
  }
  return { ...found, text: texts.join(', ') };
}

function attribute(type: string, value: string): Asn1 {
  if (value === '' || value.length > 512 || !value.isWellFormed() || hasControl(value)) {
    throw refusal('a name for a certificate is empty, too long or has control characters');
  }
  // as Go does: PrintableString where it can, else UTF8String
  const kind = /^[A-Za-z0-9 '()+,\-./:=?]*$/.test(value) ? 'printable' : 'utf8';
  return constructed('set', sequence(oid(type), primitive(kind, Buffer.from(value, 'utf8'))));
}

function textOf(value: Asn1 | undefined): string {
  const text = decodeText(value);
  if (hasControl(text)) throw refusal('a name in the bytes has control characters');
  if (!text.isWellFormed()) throw refusal('a name in the bytes has half a surrogate pair');
  return text;
}

function decodeText(value: Asn1 | undefined): string {
  if (isKind(value, 'utf8')) return new TextDecoder('utf-8', { fatal: true }).decode(contentOf(value, 'utf8'));
  if (isKind(value, 'bmp')) return contentOf(value, 'bmp').swap16().toString('utf16le');
  if (isKind(value, 'teletex')) return contentOf(value, 'teletex').toString('latin1');
  const kind = isKind(value, 'ia5') ? 'ia5' : 'printable';
  const content = contentOf(value, kind);
  if (content.some((byte) => byte > 0x7e))
    throw refusal('a name in the bytes is not the ASCII text that it says it is');
  return content.toString('latin1');
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
