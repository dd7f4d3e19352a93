/**
 * The way of a change through the agent, from top to bottom:
 *
 *     keys → sign → stage → permit → apply → restart → verify → keep | undo → report
 *
 * Until the permit is there nothing is disturbed. From the first switch on the change ends as kept or as undone, whatever happens.
 */
import { AppError } from '../common/errors/app-error.ts';
import type { KeyAlgorithm } from '../common/x509/keys.ts';
import { type AppliedChange, applyChange, type HeldPermit } from './apply/apply-change.ts';
import { makeKeys } from './keys/make-keys.ts';
import { acquirePermit, type PermitDeps, releasePermit } from './permit/acquire-permit.ts';
import type { Change } from './plan/change.ts';
import { ChangeReport } from './report/change-report.ts';
import type { StatusBoard } from './report/status-board.ts';
import { restartUnits } from './restart/restart-units.ts';
import { signChange } from './sign/sign-change.ts';
import { forgetChange } from './stage/change-journal.ts';
import { stageChange } from './stage/stage-change.ts';
import type { TransactionDeps } from './stage/transaction.ts';
import { keepChange } from './undo/keep-change.ts';
import { undoChange } from './undo/undo-change.ts';
import { type Before, failureOf, type Verdict, type Verifier } from './verify/verifier.ts';

/** What a change needs. */
export interface RotateDeps extends PermitDeps {
  transaction: TransactionDeps;
  board: StatusBoard;
  verifier: Verifier;
  keyAlgorithm: KeyAlgorithm;
  /** Told of the permit while it is held, so that heartbeats renew it; '' when there is none. */
  holdPermit(permitId: string): void;
}

/** How a change ended. */
export type RotateOutcome =
  | { outcome: 'kept' }
  /** The node is as before; reason names the line that tells why. */
  | { outcome: 'undone'; reason: string }
  /** Nothing was touched. */
  | { outcome: 'not-begun'; error: AppError };

/**
 * Makes one change. Rejects with an AbortError when the signal fires before anything was switched; after that the change is
 * brought to its end first. Rejects 'internal' when the undo itself fails: the journal on disk then goes on at the next start.
 */
export async function rotate(deps: RotateDeps, change: Change, signal: AbortSignal): Promise<RotateOutcome> {
  const report = new ChangeReport(deps.board, change);
  let prepared: Awaited<ReturnType<typeof prepare>>;
  try {
    prepared = await prepare(deps, change, report, signal);
  } catch (error) {
    signal.throwIfAborted();
    const failure = AppError.from(error);
    report.notBegun(failure.message);
    return { outcome: 'not-begun', error: failure };
  }
  const { signed, staged, permit } = prepared;
  deps.holdPermit(permit.permitId);
  try {
    let before: Before = { components: [] };
    let verdict: Verdict;
    try {
      report.applying();
      before = await deps.verifier.remember(change, signal);
      const applied: AppliedChange = await applyChange(deps.transaction, staged, permit, signal);
      const restarted = await restartUnits(deps.transaction, applied, signal);
      report.verifying(restarted.units);
      verdict = await deps.verifier.verify({ signed, restarted, permit }, signal);
    } catch (error) {
      verdict = { ok: false, reason: AppError.from(error).message, checks: new Map() };
    }
    if (verdict.ok) {
      await keepChange(deps.transaction, change);
      report.kept(signed, verdict.checks);
      return { outcome: 'kept' };
    }
    return await takeBack(deps, change, verdict, before, report);
  } finally {
    deps.holdPermit('');
    await releasePermit(deps, permit);
  }
}

/** For what is brought to its end even when the agent is asked to stop. */
const NEVER = new AbortController().signal;

/** Everything that disturbs nothing: keys, certificates, staged files, and the wait for the permit. */
async function prepare(deps: RotateDeps, change: Change, report: ChangeReport, signal: AbortSignal) {
  report.pending();
  const keyed = await makeKeys(change, deps.keyAlgorithm);
  const signed = await signChange(deps, keyed, signal);
  const staged = await stageChange(deps.transaction, signed);
  try {
    const permit: HeldPermit = await acquirePermit(
      deps,
      {
        components: change.components.map(({ component }) => component),
        changeId: change.changeId,
        reason: change.components
          .flatMap(({ summary }) => summary)
          .join('; ')
          .slice(0, 300),
        undo: false,
        waiting: (detail) => report.waiting(detail),
      },
      signal,
    );
    return { signed, staged, permit };
  } catch (error) {
    await undoChange(deps.transaction, change, AppError.from(error).message);
    throw error;
  }
}

/** Back to the state before, proved too. It is not stopped by a signal: half a change is no place to stop. */
async function takeBack(
  deps: RotateDeps,
  change: Change,
  verdict: Verdict,
  before: Before,
  report: ChangeReport,
): Promise<RotateOutcome> {
  deps.log.warn('verification failed, undoing', { changeId: change.changeId, detail: verdict.reason });
  const undone = await undoChange(deps.transaction, change, verdict.reason);
  if (undone.outcome === 'discarded') {
    report.notBegun(verdict.reason);
    return { outcome: 'not-begun', error: new AppError('conflict', verdict.reason) };
  }
  const old = await deps.verifier.verifyBefore(before, NEVER);
  await forgetChange(deps.transaction.layout, change.changeId);
  const trouble = undone.ok ? failureOf(old) : undone.units.find((unit) => !unit.ok)?.detail;
  report.undone(verdict, old, trouble);
  return { outcome: 'undone', reason: verdict.reason };
}
