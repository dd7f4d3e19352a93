/** What tests of the policy and of everything behind it share. */
import { type Authority, authorities as words } from '../../common/names/names.ts';
import { createCsr, type ParsedCsr, parseCsr } from '../../common/x509/csr.ts';
import { generateKey, type PrivateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial, type Signer } from '../../common/x509/sign.ts';
import type { Authorities } from '../authority/authorities.ts';
import { authoritiesOf, neverRotated } from '../authority/known-authorities.ts';
import { parseServerConfig, type ServerConfig } from '../config/server-config.ts';

/** Time of the tests. */
export const startMs = Date.UTC(2026, 0, 1);

/** A cluster "lab" at cp1:6443, with some YAML added. */
export function sampleConfig(more = ''): ServerConfig {
  const text = `cluster: {name: lab, apiEndpoint: "lb.example:6443"}\nadvertise: [10.0.0.1, ca.example]\n${more}`;
  return parseServerConfig(text, 'server.yaml');
}

/** Four authorities that are kept nowhere; they end after that many days. */
export async function sampleAuthorities(days = 3650): Promise<Authorities> {
  const made = new Map<string, Signer>();
  for (const authority of words.all) {
    const signer = await createAuthority({
      commonName: `test ${authority} CA`,
      serial: newSerial(),
      algorithm: 'ecdsa-p256',
      notBefore: new Date(startMs - 86_400_000),
      notAfter: new Date(startMs + days * 86_400_000),
    });
    made.set(authority, signer);
  }
  const of = (authority: string) => {
    const signer = made.get(authority);
    if (signer === undefined) throw new TypeError(`no authority ${authority}`);
    return signer;
  };
  const list = (authority: Authority) => ({ first: of(authority), companions: [], further: [] });
  return authoritiesOf({ list, record: () => neverRotated, imported: () => false });
}

/** A request with these names. */
export function sampleCsr(
  key: PrivateKey,
  names: { commonName?: string; dnsNames?: string[]; ipAddresses?: string[] } = {},
): Uint8Array {
  return Buffer.from(createCsr(key, { commonName: 'whatever', ...names }));
}

/** A checked request of a new key. */
export async function newCsr(names: { dnsNames?: string[]; ipAddresses?: string[] } = {}): Promise<ParsedCsr> {
  return parseCsr(sampleCsr(await generateKey('ecdsa-p256'), names));
}
