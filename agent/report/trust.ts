/** Whom a component trusts, and who signed its certificates, by the public keys of the roots. */
import type { Authority, Component } from '../../common/names/names.ts';
import { type Certificate, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import type { BundleFile } from '../plan/change.ts';
import type { InstalledFolder } from '../plan/plan-input.ts';
import type { Trust } from './status-board.ts';

/** Whose roots each file of a component's folder holds; "client-ca.crt" depends on the component. */
const AUTHORITIES: Readonly<Record<string, Authority>> = {
  'peer-ca.crt': 'etcd',
  'etcd-ca.crt': 'etcd',
  'front-proxy-ca.crt': 'front-proxy',
  'kubelet-ca.crt': 'kubernetes',
  'root-ca.crt': 'kubernetes',
  'apiserver-ca.crt': 'kubernetes',
};

/**
 * The roots in the files behind the link `current`, by authority; a file that cannot be read trusts nobody. Where several files
 * belong to one authority only a root in all of them counts: whoever relies on one that is in some of them is refused somewhere.
 */
export function installedTrust({ component, bundles }: InstalledFolder): Trust[] {
  return trustOf(
    bundles.flatMap(({ file, pem }) => {
      const authority = authorityOf(component, file);
      return authority === undefined ? [] : [{ authority, pem }];
    }),
  );
}

/** The roots that those files will hold. */
export function trustAfter(files: readonly BundleFile[], bundles: ReadonlyMap<Authority, string>): Trust[] {
  return trustOf(files.map(({ authority }) => ({ authority, pem: bundles.get(authority) ?? '' })));
}

/**
 * sha256:HEX of the key that signed a certificate; '' when none of the roots did.
 *
 * @throws AppError 'invalid-request' when the certificate cannot be read
 */
export function issuerPin(certificatePem: string, rootsPem: string | undefined): string {
  const { x509 } = parseCertificate(certificatePem);
  const signer = readable(rootsPem ?? '').find(
    (root) => x509.checkIssued(root.x509) && x509.verify(root.x509.publicKey),
  );
  return signer?.publicKeyPin ?? '';
}

function authorityOf(component: Component, file: string): Authority | undefined {
  if (file === 'client-ca.crt') return component === 'etcd' ? 'etcd' : 'kubernetes';
  return AUTHORITIES[file];
}

function trustOf(files: readonly { authority: Authority; pem: string }[]): Trust[] {
  const trusted = new Map<Authority, Set<string>>();
  for (const { authority, pem } of files) {
    const pins = new Set(readable(pem).map(({ publicKeyPin }) => publicKeyPin));
    const others = trusted.get(authority) ?? pins;
    trusted.set(authority, new Set([...pins].filter((pin) => others.has(pin))));
  }
  return [...trusted].map(([authority, pins]) => ({ authority, rootPins: [...pins].sort() }));
}

function readable(pem: string): Certificate[] {
  try {
    return parseCertificates(pem);
  } catch {
    return [];
  }
}
