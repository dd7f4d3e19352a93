/** Which algorithm a key is made with. */
import { type KeyAlgorithm, type KeyKind, kindOfAlgorithm } from '../../common/x509/keys.ts';

/** What agent.yaml says: an algorithm, or "auto" for what fits. */
export type KeyChoice = KeyAlgorithm | 'auto';

/**
 * The one that was chosen; for "auto" ECDSA P-256, or RSA of 2048 bits where an RSA key is needed.
 *
 * @param kind what the key has to be; the plan lets nothing through that the choice contradicts
 */
export function chooseAlgorithm(chosen: KeyChoice, kind?: KeyKind): KeyAlgorithm {
  if (chosen !== 'auto' && (kind === undefined || kindOfAlgorithm(chosen) === kind)) return chosen;
  return kind === 'RSA' ? 'rsa-2048' : 'ecdsa-p256';
}
