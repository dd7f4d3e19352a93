/** The way back of a change, for rotate.ts: files, processes, proof of the old state, and what is said of it. */
import type { Change } from './plan/change.ts';
import type { ChangeReport } from './report/change-report.ts';
import type { RotateDeps, RotateOutcome } from './rotate.ts';
import { forgetChange } from './stage/change-journal.ts';
import { INTERRUPTED } from './undo/recover.ts';
import { undoChange } from './undo/undo-change.ts';
import { type Before, failureOf, type Verdict } from './verify/verifier.ts';

/** A change that did not come to a good end. */
export interface FailedAttempt {
  change: Change;
  report: ChangeReport;
  /** What was there before. */
  before: Before;
  verdict: Verdict;
  /** What was thrown, for the log. */
  broken: unknown;
}

/**
 * Takes a change back and reports it; undefined when nothing had been switched, so that there was nothing to take back. When the
 * signal has fired this rejects with its reason, without a verdict on the change.
 */
export async function takeBack(
  deps: RotateDeps,
  { change, report, before, verdict, broken }: FailedAttempt,
  signal: AbortSignal,
): Promise<RotateOutcome | undefined> {
  // a check that was stopped looks like one that failed
  const interrupted = signal.aborted;
  deps.log.warn(interrupted ? 'change interrupted, undoing' : 'verification failed, undoing', {
    changeId: change.changeId,
    detail: verdict.reason,
    error: broken,
  });
  // No signal from here on: half a change is no place to stop.
  const reason = interrupted ? `${INTERRUPTED} made` : verdict.reason; // by it a later life knows whether there was a verdict
  const undone = await undoChange(deps.transaction, change, reason);
  if (undone.outcome === 'discarded') return undefined;
  if (interrupted) {
    await forgetChange(deps.transaction.layout, change.changeId);
    report.interrupted(undone.units);
    signal.throwIfAborted();
  }
  const old = await deps.verifier.verifyBefore(before, new AbortController().signal);
  await deps.noteFailed(change, verdict.reason);
  await forgetChange(deps.transaction.layout, change.changeId);
  // what answers as before is well, even if systemd's first attempt failed
  const unproved = undone.units.find(({ ok, component }) => !ok && !old.has(component));
  report.undone(verdict, old, undone.units, failureOf(old) ?? unproved?.detail);
  return { outcome: 'undone', reason: verdict.reason };
}
