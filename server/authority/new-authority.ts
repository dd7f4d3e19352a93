/** A new CA, kept nowhere yet. */
import type { Authority } from '../../common/names/names.ts';
import { createAuthority, newSerial, type Signer } from '../../common/x509/sign.ts';

/** Which kind. */
export interface NewAuthorityOptions {
  nowMs: number;
  /** Needed for the fleet CA. */
  clusterName?: string;
  /**
   * True when users of the authority trust another CA too. Its name then differs from any other's: OpenSSL looks an issuer
   * up by name, and takes the wrong one of two where the older has no key identifier.
   */
  successor?: boolean;
}

/** kubeadm's lifetime of a CA. */
const lifetimeMs = 3650 * 86_400_000;
const backdatedMs = 5 * 60_000;

/** Makes a key and a certificate with kubeadm's name and lifetime. */
export async function newAuthority(authority: Authority, options: NewAuthorityOptions): Promise<Signer> {
  const { nowMs, clusterName = '', successor = false } = options;
  const names: Record<Authority, string> = {
    fleet: fleetName(clusterName),
    kubernetes: 'kubernetes',
    etcd: 'etcd-ca',
    'front-proxy': 'front-proxy-ca',
  };
  const serial = newSerial();
  return createAuthority({
    commonName: successor ? `${names[authority]}-${serial.slice(0, 8)}` : names[authority],
    serial,
    algorithm: 'ecdsa-p256',
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + lifetimeMs),
  });
}

/** Name of the fleet CA of a cluster. */
export function fleetName(clusterName: string): string {
  return `kube-mtls fleet CA ${clusterName}`;
}
