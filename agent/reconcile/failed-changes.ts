/** The list of changes that are not made for now: it is kept over restarts, so it is changed in place. */
import type { FailedChange } from '../report/agent-state.ts';

/** Puts a change on the list; one entry a fingerprint. */
export function failChange(failed: FailedChange[], change: FailedChange): void {
  forgiveChange(failed, change.fingerprint);
  failed.push(change);
}

/** Takes a change off the list. */
export function forgiveChange(failed: FailedChange[], fingerprint: string): void {
  const index = failed.findIndex((change) => change.fingerprint === fingerprint);
  if (index >= 0) failed.splice(index, 1);
}

/**
 * Holds up what would put back the changes of somebody else, and forgets what is no drift any more, so that the next one waits for
 * an operator again. A change that was tried and failed keeps its verdict.
 *
 * @param drift - paths by fingerprint
 * @returns the reasons that are new
 */
export function noteDrift(
  failed: FailedChange[],
  drift: ReadonlyMap<string, readonly string[]>,
  now: Pick<FailedChange, 'retryGeneration' | 'atMs'>,
): string[] {
  for (const { fingerprint, kind } of [...failed]) {
    if (kind === 'drift' && !drift.has(fingerprint)) forgiveChange(failed, fingerprint);
  }
  const reasons: string[] = [];
  for (const [fingerprint, paths] of drift) {
    if (failed.some((change) => change.fingerprint === fingerprint)) continue;
    const reason = `changed by somebody else: ${paths.join(', ')}; run "kube-mtls-agent apply" to put it back`;
    failed.push({ ...now, fingerprint, reason, kind: 'drift' });
    reasons.push(reason);
  }
  return reasons;
}
