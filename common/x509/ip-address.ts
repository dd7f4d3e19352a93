/** IP addresses in one form, so that two spellings of the same address compare equal. */
import { isIP, SocketAddress } from 'node:net';

/**
 * The address in canonical form: IPv4 dotted, IPv6 as RFC 5952, an IPv4-mapped IPv6 address as IPv4 (Go's TLS takes them
 * for the same). Undefined when the text is no address or has a zone.
 */
export function canonicalIp(text: string): string | undefined {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) return undefined;
  if (version === 4) return text;
  const canonical = new SocketAddress({ address: text, family: 'ipv6' }).address;
  const mapped = canonical.startsWith('::ffff:') ? canonical.slice('::ffff:'.length) : '';
  return isIP(mapped) === 4 ? mapped : canonical;
}

/** The 4 or 16 octets of an address (RFC 5280 4.2.1.6), or undefined when the text is no address. */
export function ipToBytes(text: string): Buffer | undefined {
  const canonical = canonicalIp(text);
  if (canonical === undefined) return undefined;
  if (isIP(canonical) === 4) return Buffer.from(canonical.split('.').map(Number));
  // RFC 5952 may write the last 32 bits dotted
  const hex = canonical.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...quad: string[]) => {
    const [a, b, c, d] = quad.slice(0, 4).map((part) => Number(part).toString(16).padStart(2, '0'));
    return `${a}${b}:${c}${d}`;
  });
  const [head = '', tail] = hex.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0');
  const groups = [...left, ...zeros, ...right];
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** The canonical text of 4 or 16 octets, or undefined for another length. */
export function ipFromBytes(bytes: Uint8Array): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const groups = Buffer.from(bytes).toString('hex').match(/.{4}/g) ?? [];
  return canonicalIp(groups.join(':'));
}
