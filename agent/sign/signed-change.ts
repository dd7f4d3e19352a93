/** A change with its certificates, believed only after every one was checked. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Authority, Component, Profile } from '../../common/names/names.ts';
import {
  type Certificate,
  chainsTo,
  keyMatches,
  parseCertificate,
  parseCertificates,
} from '../../common/x509/certificate.ts';
import type { KeyedChange, SlotKey } from '../keys/make-keys.ts';
import type { Change } from '../plan/change.ts';
import { issuers } from '../plan/complete-change.ts';
import { fingerprint } from '../plan/fingerprint.ts';

/** A certificate with its key. */
export interface SignedSlot {
  component: Component;
  /** As in the slot: without ".crt". */
  file: string;
  profile: Profile;
  keyPem: string;
  certificatePem: string;
  /** Lower-case hexadecimal without leading zeros. */
  serial: string;
  notAfterMs: number;
}

/** The roots of one authority. */
export interface SignedBundle {
  authority: Authority;
  rootsPem: string;
}

/** A change that can be staged. Only {@link checkSigned} makes it. */
export interface SignedChange {
  readonly stage: 'signed';
  readonly change: Change;
  readonly certificates: readonly SignedSlot[];
  readonly bundles: readonly SignedBundle[];
}

/**
 * Checks what the server answered: one certificate per key in the same order, for that key, from the bundle that will be installed
 * with it, with the names that were asked for, and valid by this node's clock now. The roots must be those that the plan saw, for
 * only of those it knows that no trust is lost.
 *
 * @throws AppError 'invalid-request' naming the certificate and what is wrong with it, 'conflict' for other roots than planned
 */
export function checkSigned(
  keyed: KeyedChange,
  issued: readonly { profile: Profile; certificatePem: string }[],
  bundles: readonly SignedBundle[],
  nowMs: number,
): SignedChange {
  if (issued.length !== keyed.keys.length) {
    throw new AppError(
      'invalid-request',
      `the server answered ${issued.length} certificates for ${keyed.keys.length} requests`,
    );
  }
  const certificates = keyed.keys.map((slotKey, index) => checkSlot(slotKey, issued[index], bundles, nowMs));
  const { change } = keyed;
  for (const { bundles: files } of change.components) {
    for (const { authority } of files) rootsOf(bundles, authority);
  }
  const roots = new Map(bundles.map(({ authority, rootsPem }) => [authority, rootsPem]));
  if (fingerprint(change.components, roots) !== change.fingerprint) {
    throw new AppError('conflict', 'the roots of the server changed since the plan was made: it is made anew');
  }
  return { stage: 'signed', change, certificates, bundles };
}

function checkSlot(
  { component, slot, key }: SlotKey,
  answer: { profile: Profile; certificatePem: string } | undefined,
  bundles: readonly SignedBundle[],
  nowMs: number,
): SignedSlot {
  const refuse = (what: string): never => {
    throw new AppError('invalid-request', `the certificate ${slot.profile} that the server issued ${what}`);
  };
  if (answer?.profile !== slot.profile) return refuse('is of another profile');
  const certificate = parseCertificate(answer.certificatePem);
  if (!keyMatches(key, certificate)) return refuse('is for another key than ours');
  if (certificate.notBefore.getTime() > nowMs) {
    return refuse(
      `is valid only from ${certificate.notBefore.toISOString()} by this node's clock: set the clock right`,
    );
  }
  const problem = chainsTo(certificate, parseCertificates(rootsOf(bundles, issuers[slot.profile])), new Date(nowMs));
  if (problem !== undefined) return refuse(`is not good here: ${problem}`);
  const missing = missingNames(certificate, slot.dnsNames, slot.ipAddresses);
  if (missing.length > 0) return refuse(`lacks ${missing.join(', ')}`);
  return {
    component,
    file: slot.file,
    profile: slot.profile,
    keyPem: key.pem,
    certificatePem: answer.certificatePem,
    serial: certificate.serial,
    notAfterMs: certificate.notAfter.getTime(),
  };
}

function missingNames(certificate: Certificate, dnsNames: readonly string[], ipAddresses: readonly string[]): string[] {
  return [
    ...dnsNames.filter((name) => !certificate.dnsNames.includes(name.toLowerCase())),
    ...ipAddresses.filter((address) => !certificate.ipAddresses.includes(address)),
  ];
}

function rootsOf(bundles: readonly SignedBundle[], authority: Authority): string {
  const bundle = bundles.find((each) => each.authority === authority);
  if (bundle === undefined) throw new AppError('invalid-request', `the server sent no roots of the ${authority} CA`);
  return bundle.rootsPem;
}
