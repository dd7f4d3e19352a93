/** The life of a certificate of ours, as its issue and its end bound it. */
import type { Certificate } from './certificate.ts';

/** NotBefore lies this long before the issue, so that a node whose clock is behind can use the certificate at once. */
export const BACKDATED_MS = 5 * 60_000;

/**
 * When a part of the life is over, in milliseconds since the epoch. Life begins with the issue and not with notBefore: for
 * certificates of ten minutes that is a third of the whole.
 *
 * @param part 0 to 1; renewal begins at two thirds
 */
export function lifeAtMs({ notBefore, notAfter }: Pick<Certificate, 'notBefore' | 'notAfter'>, part: number): number {
  const endMs = notAfter.getTime();
  const issuedMs = Math.min(notBefore.getTime() + BACKDATED_MS, endMs);
  return issuedMs + (endMs - issuedMs) * part;
}
