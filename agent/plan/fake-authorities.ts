/** The CAs of a fake server, for tests: what they sign and what is trusted while their roots change. */
import type { Authority, Profile } from '../../common/names/names.ts';
import { createAuthority, newSerial, type Signer } from '../../common/x509/sign.ts';
import { issuers } from './complete-change.ts';
import type { AuthorityRotation } from './plan-input.ts';
import { isProbe } from './rotation.ts';

/** The time of all tests. */
export const nowMs = Date.UTC(2026, 0, 1);
const dayMs = 24 * 60 * 60 * 1000;
/** Lifetime of certificates that the fake server issues. */
export const lifetimeMs = 90 * dayMs;

/** The change of one authority's root. */
export interface FakeRotation {
  phase: 'trust' | 'reissue' | 'drop';
  next: Signer;
  /** True when the server does not have the key of the old CA. */
  foreign: boolean;
}

/** CAs in use, and what takes their place. */
export interface FakeAuthorities {
  signers: ReadonlyMap<Authority, Signer>;
  rotations: ReadonlyMap<Authority, FakeRotation>;
}

/** Roots as the server gives them, newest first. */
export function bundlesOf({ signers, rotations }: FakeAuthorities): Map<Authority, string> {
  return new Map(
    [...signers].map(([authority, { certificate }]) => {
      const rotation = rotations.get(authority);
      if (rotation === undefined) return [authority, certificate.pem];
      const { next, phase } = rotation;
      return [authority, phase === 'drop' ? next.certificate.pem : next.certificate.pem + certificate.pem];
    }),
  );
}

/** Rotations as the server tells them; settled authorities are in it too. */
export function rotationsOf({ signers, rotations }: FakeAuthorities): Map<Authority, AuthorityRotation> {
  return new Map(
    [...signers].map(([authority, { certificate: old }]): [Authority, AuthorityRotation] => {
      const rotation = rotations.get(authority);
      if (rotation === undefined)
        return [authority, { phase: 'settled', issuingPin: old.publicKeyPin, retiredPem: '' }];
      const { phase, next, foreign } = rotation;
      const issuingPin = phase === 'trust' ? (foreign ? '' : old.publicKeyPin) : next.certificate.publicKeyPin;
      return [authority, { phase, issuingPin, retiredPem: phase === 'drop' ? old.pem : '' }];
    }),
  );
}

/** The CA that signs a profile now; throws when none does. */
export function signerOf({ signers, rotations }: FakeAuthorities, profile: Profile): Signer {
  const authority = issuers[profile];
  const rotation = rotations.get(authority);
  if (rotation !== undefined && (rotation.phase !== 'trust' || isProbe(profile))) return rotation.next;
  const signer = signers.get(authority);
  if (signer === undefined || rotation?.foreign === true) throw new Error(`nobody signs ${profile} now`);
  return signer;
}

/** A new CA that is valid throughout the tests. */
export function makeAuthority(commonName: string): Promise<Signer> {
  return createAuthority({
    ...{ commonName, serial: newSerial(), algorithm: 'ecdsa-p256' },
    ...{ notBefore: new Date(nowMs - dayMs), notAfter: new Date(nowMs + 3650 * dayMs) },
  });
}
