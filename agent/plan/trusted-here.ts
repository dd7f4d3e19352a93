/** Whether a component of this node trusts what signed a certificate. */
import type { Detected } from '../detect/detected.ts';
import type { PlanInput } from './plan-input.ts';
import { readServed, type ServedCertificate } from './served-certificate.ts';
import { trustUses } from './trust-uses.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** True when the certificate itself, or a CA that signed it, is among the roots of a component. */
export function isTrustedHere(
  { x509 }: ServedCertificate,
  { detected, trust }: Pick<PlanInput, 'detected' | 'trust'>,
): boolean {
  return detected.components
    .flatMap((each) => rootsTexts(each, trust))
    .some((pem) =>
      (pem.match(BLOCK) ?? []).some((block) => {
        try {
          const root = readServed(block).x509;
          return root.fingerprint256 === x509.fingerprint256 || x509.verify(root.publicKey);
        } catch {
          return false; // what is no certificate, or has a key of an unknown kind, signed nothing that is served here
        }
      }),
    );
}

function rootsTexts(detected: Detected, trust: PlanInput['trust']): string[] {
  try {
    return trustUses(detected).map(({ roots }) =>
      'pem' in roots ? roots.pem : (trust.find(({ path }) => path === roots.path)?.pem ?? ''),
    );
  } catch {
    return []; // the guard of trust holds such a component up
  }
}
