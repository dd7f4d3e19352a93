/** When a certificate is due, and why; the why is logged before anything is renewed. */
import { createHash } from 'node:crypto';
import type { Profile } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import { kindOfKey } from '../../common/x509/keys.ts';
import { lifeAtMs } from '../../common/x509/life.ts';
import type { InstalledCertificate } from './plan-input.ts';
import { tryParse } from './try-parse.ts';
import type { WishedSlot } from './wish.ts';

/** What a slot is compared with. */
export interface DueInput {
  slot: WishedSlot;
  installed: InstalledCertificate | undefined;
  /** Those of the authority's roots that sign this slot now. */
  signers: Certificate[];
  /** For the jitter. */
  nodeName: string;
  nowMs: number;
}

/** Why the slot is issued anew ("missing", "names changed: …"), or undefined when it is good. */
export function whyDue({ slot, installed, signers, nodeName, nowMs }: DueInput): string | undefined {
  if (installed === undefined) return 'missing';
  const certificate = tryParse(installed.pem);
  if (certificate === undefined) return 'unreadable';
  if (!installed.keyMatches) return 'key missing or not the one of the certificate';
  if (!isIssuedBy(certificate, signers)) return `issuer changed: ${certificate.issuer} is not the CA that signs it now`;
  const kind = kindOfKey(certificate.x509.publicKey);
  if (slot.key !== undefined && kind !== slot.key.kind) return `key is no ${slot.key.kind} key: ${slot.key.why}`;
  const names = [
    ...missing(slot.dnsNames, certificate.dnsNames),
    ...missing(slot.ipAddresses, certificate.ipAddresses),
  ];
  if (names.length > 0) return `names changed: ${names.join(', ')} missing`;
  if (nowMs >= certificate.notAfter.getTime()) return `expired ${certificate.notAfter.toISOString()}`;
  if (nowMs >= renewalMs(certificate, { nodeName, profile: slot.profile, file: slot.file })) {
    return `expires ${certificate.notAfter.toISOString()}`;
  }
  return undefined;
}

/** What tells one renewal from another. */
export interface RenewedSlot {
  nodeName: string;
  profile: Profile;
  file: string;
}

/**
 * Shown by client-go, which looks at its files every five minutes and at a dial (kubernetes@a493c8da9, CertCallbackRefreshDuration):
 * until then it shows the certificate before, which must not end by then.
 */
const SHOWN_LATE: ReadonlySet<Profile> = new Set<Profile>([
  'kube-apiserver-kubelet-client',
  'front-proxy-client',
  'kube-controller-manager-client',
  'kube-scheduler-client',
  'kubelet-client',
  'kube-proxy-client',
]);
/** Five minutes, and one to get there. */
const LEAD_MS = 6 * 60_000;

/**
 * When to renew, in milliseconds since the epoch: at two thirds of the lifetime, for certificates that client-go shows also six
 * minutes before the end at the latest, and up to a tenth of the lifetime earlier. How much earlier follows from the slot alone, so
 * that it is the same at each plan and differs between nodes.
 */
export function renewalMs(certificate: Pick<Certificate, 'notBefore' | 'notAfter'>, slot: RenewedSlot): number {
  const { nodeName, profile, file } = slot;
  const digest = createHash('sha256').update(`${nodeName}/${profile}/${file}`).digest();
  const jitter = digest.readUInt32BE(0) / 2 ** 32 / 10;
  const early = lifeAtMs(certificate, 2 / 3 - jitter);
  return SHOWN_LATE.has(profile) ? Math.min(early, lifeAtMs(certificate, 1 - jitter) - LEAD_MS) : early;
}

function isIssuedBy(certificate: Certificate, roots: readonly Certificate[]): boolean {
  const { x509 } = certificate;
  return roots.some((root) => x509.checkIssued(root.x509) && x509.verify(root.x509.publicKey));
}

function missing(wanted: readonly string[], there: readonly string[]): string[] {
  return wanted.filter((name) => !there.includes(name));
}
