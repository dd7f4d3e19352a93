/** Certificate requests, PKCS#10 (RFC 2986): made here, and read from strangers. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  type AlternativeNames,
  checkedDns,
  encodeAlternativeNames,
  readAlternativeNames,
} from './alternative-names.ts';
import { encodeName, readName } from './distinguished-name.ts';
import { extension, readBasicConstraints, readExtensions } from './extensions.ts';
import {
  type Asn1,
  bitString,
  bitsOf,
  constructed,
  contentOf,
  decodeDer,
  encodeDer,
  integer,
  oid,
  oidOf,
  partsOf,
  sequence,
} from './forge.ts';
import { assertStrongKey, type PrivateKey, publicKeyPin } from './keys.ts';
import { oids } from './oids.ts';
import { onlyPemBlock, toPem } from './pem.ts';
import { refusal, refuseUnreadable } from './refuse.ts';
import { assertSigned, signatureAlgorithm, signDer } from './signature.ts';

/** A request whose signature and key were checked. Only parseCsr makes it. Everything but the key is a wish. */
export interface ParsedCsr {
  publicKey: KeyObject;
  /** See publicKeyPin of keys.ts. */
  publicKeyPin: string;
  /** Empty when the subject has none. */
  commonName: string;
  /** Lower case. */
  dnsNames: string[];
  /** Canonical, see canonicalIp. */
  ipAddresses: string[];
  /** Everything else that the request asks to be called, as text: "uri:spiffe://…", "email:a@b", "O=system:masters", "OU=x". */
  otherNames: string[];
}

/** Names to ask for. */
export interface CsrNames {
  commonName: string;
  dnsNames?: string[];
  ipAddresses?: string[];
}

const what = 'certificate request';
/** A request for RSA 8192 with 256 names of usual length is below this. */
const maxBytes = 16 * 1024;
/** What is left of it for names: key and signature of RSA 8192 take two kilobytes. */
const maxNameBytes = maxBytes - 4 * 1024;
/** What openssl, cfssl and Go put into requests; of these only the alternative names and basic constraints are looked at. */
const acceptedExtensions: readonly string[] = [
  oids.subjectAltName,
  oids.basicConstraints,
  oids.keyUsage,
  oids.extKeyUsage,
  oids.subjectKeyIdentifier,
];

/**
 * A request as PEM, signed by the key.
 *
 * @throws AppError invalid-request for a weak key or a malformed name
 */
export function createCsr(key: PrivateKey, names: CsrNames): string {
  const { commonName, dnsNames = [], ipAddresses = [] } = names;
  const wanted = dnsNames.length + ipAddresses.length;
  const alternative =
    wanted === 0 ? [] : [extension(oids.subjectAltName, encodeAlternativeNames({ dnsNames, ipAddresses, uris: [] }))];
  const attributes = alternative.map((one) => sequence(oid(oids.extensionRequest), constructed('set', sequence(one))));
  const info = sequence(
    integer('0'),
    encodeName([], commonName),
    decodeDer(key.publicKey.export({ type: 'spki', format: 'der' })),
    constructed(0, ...attributes),
  );
  const signature = signDer(key.key, key.publicKey, encodeDer(info));
  return toPem(
    'CERTIFICATE REQUEST',
    encodeDer(sequence(info, signatureAlgorithm(key.publicKey), bitString(signature))),
  );
}

/**
 * Checks that a request for these names would be read, whatever its key is: each for itself, their number, and their length.
 *
 * @throws AppError invalid-request
 */
export function assertRequestable({ dnsNames = [], ipAddresses = [] }: Omit<CsrNames, 'commonName'>): void {
  const { length } = encodeAlternativeNames({ dnsNames, ipAddresses, uris: [] });
  // PEM has four characters for three bytes, and a line end for 64 characters
  if (length * 1.4 > maxNameBytes)
    throw refusal(`the names take more than the ${maxNameBytes} bytes that a request has for them`);
}

/**
 * Reads a request, DER or PEM, of at most 16 KiB: exactly one, with nothing around it. Its signature and the strength of
 * its key are checked before any name of it is returned.
 *
 * @throws AppError invalid-request with the rule that was broken, whatever the bytes are
 */
export function parseCsr(bytes: Uint8Array): ParsedCsr {
  return refuseUnreadable(what, () => {
    if (bytes.length > maxBytes) throw refusal(`the ${what} has more than ${maxBytes} bytes`);
    return readRequest(decodeDer(toDer(bytes)));
  });
}

function toDer(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0x30) return bytes; // a sequence; PEM begins with a dash or whitespace
  return onlyPemBlock(Buffer.from(bytes).toString('latin1'), ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'], what);
}

function readRequest(request: Asn1): ParsedCsr {
  const [info, algorithm, signature, ...more] = partsOf(request, 'sequence');
  const [version, subject, keyInfo, attributes, ...others] = partsOf(info, 'sequence');
  if (info === undefined || more.length + others.length > 0)
    throw refusal(`the ${what} has parts that do not belong there`);
  if (!contentOf(version, 'integer').equals(Buffer.from([0]))) throw refusal(`the ${what} is not of version 1`);

  const publicKey = readPublicKey(keyInfo);
  // the bytes were read as strict DER, so that encoding the part anew gives the raw bytes that were signed
  assertSigned(publicKey, algorithm, encodeDer(info), bitsOf(signature));

  const name = readName(subject);
  if (name.commonNames.length > 1) throw refusal(`the ${what} has more than one common name`);
  const wanted = readAttributes(attributes);
  return {
    publicKey,
    publicKeyPin: publicKeyPin(publicKey),
    commonName: name.commonNames[0] ?? '',
    dnsNames: wanted.dnsNames.map(checkedDns),
    ipAddresses: wanted.ipAddresses,
    otherNames: [
      ...wanted.uris.map((uri) => `uri:${uri}`),
      ...wanted.others,
      ...name.organizations.map((organization) => `O=${organization}`),
      ...name.others,
    ],
  };
}

/** Refuses other spellings of a key (compressed points, explicit curves): one key has one pin, so that its reuse is seen. */
function readPublicKey(keyInfo: Asn1 | undefined): KeyObject {
  if (keyInfo === undefined) throw refusal(`the ${what} has no public key`);
  // explicit curve parameters are a known way to make OpenSSL work hard (CVE-2022-0778): refused before it sees them
  const [, parameters] = partsOf(partsOf(keyInfo, 'sequence')[0], 'sequence');
  if (parameters?.constructed) throw refusal(`the public key of the ${what} has parameters: use a named curve, or RSA`);
  const der = encodeDer(keyInfo);
  let publicKey: KeyObject;
  try {
    publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (error) {
    throw refusal(`the public key of the ${what} cannot be read: use ECDSA P-256 or P-384, or RSA`, error);
  }
  assertStrongKey(publicKey);
  const canonical = createPublicKey({ key: publicKey.export({ format: 'jwk' }), format: 'jwk' });
  if (!canonical.export({ type: 'spki', format: 'der' }).equals(der)) {
    throw refusal(`the public key of the ${what} is encoded unusually: use a named curve and an uncompressed point`);
  }
  return publicKey;
}

function readAttributes(attributes: Asn1 | undefined): AlternativeNames {
  const none: AlternativeNames = { dnsNames: [], ipAddresses: [], uris: [], others: [] };
  if (attributes === undefined) return none; // left out by some writers
  const [attribute, ...more] = partsOf(attributes, 0);
  if (attribute === undefined) return none;
  const [id, values, ...parts] = partsOf(attribute, 'sequence');
  if (more.length + parts.length > 0 || oidOf(id) !== oids.extensionRequest) {
    throw refusal(`the ${what} may have one attribute, the extension request`);
  }
  const [list, ...lists] = partsOf(values, 'set');
  if (lists.length > 0) throw refusal(`the ${what} has more than one list of extensions`);
  const extensions = readExtensions(list);
  for (const name of extensions.keys()) {
    if (!acceptedExtensions.includes(name))
      throw refusal(`the ${what} asks for the extension ${name}, which is not given`);
  }
  const constraints = extensions.get(oids.basicConstraints);
  if (constraints !== undefined && readBasicConstraints(constraints)) {
    throw refusal(`the ${what} asks to be a CA, which is not given`);
  }
  const names = extensions.get(oids.subjectAltName);
  return names === undefined ? none : readAlternativeNames(names);
}
