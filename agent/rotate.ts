/**
 * The way of a change through the agent, from top to bottom:
 *
 *     keys → sign → stage → permit → apply → restart → verify → keep | undo → report
 *
 * Until the permit is there nothing is disturbed. From the first switch on the change ends as kept or as undone, whatever happens.
 */
import { AppError, messageOf } from '../common/errors/app-error.ts';
import type { KeyAlgorithm } from '../common/x509/keys.ts';
import { applyChange, type HeldPermit } from './apply/apply-change.ts';
import { makeKeys } from './keys/make-keys.ts';
import { acquirePermit, type PermitDeps, releasePermit } from './permit/acquire-permit.ts';
import type { Change } from './plan/change.ts';
import { ChangeReport } from './report/change-report.ts';
import type { StatusBoard } from './report/status-board.ts';
import { restartUnits } from './restart/restart-units.ts';
import { signChange } from './sign/sign-change.ts';
import type { SignedChange } from './sign/signed-change.ts';
import { forgetChange } from './stage/change-journal.ts';
import { type StagedChange, stageChange } from './stage/stage-change.ts';
import type { TransactionDeps } from './stage/transaction.ts';
import { keepChange } from './undo/keep-change.ts';
import { undoChange } from './undo/undo-change.ts';
import { type Before, failureOf, type Verdict, type Verifier } from './verify/verifier.ts';

/** What a change needs. */
export interface RotateDeps extends PermitDeps {
  transaction: TransactionDeps;
  board: StatusBoard;
  verifier: Pick<Verifier, 'remember' | 'verify' | 'verifyBefore'>;
  keyAlgorithm: KeyAlgorithm;
  /** Told of the permit while it is held, so that heartbeats renew it; '' when there is none. */
  holdPermit(permitId: string): void;
  /** Writes the statuses to disk: after a crash the node must not say that it is at rest. */
  remember(): Promise<void>;
}

/** How a change ended. */
export type RotateOutcome =
  | { outcome: 'kept' }
  /** The node is as before; reason names the line that tells why. */
  | { outcome: 'undone'; reason: string }
  /** Nothing was touched. */
  | { outcome: 'not-begun'; reason: string };

/** A change that may be made now. */
interface Permitted {
  signed: SignedChange;
  staged: StagedChange;
  permit: HeldPermit;
}

/**
 * Makes one change. When the signal fires the change is discarded, or taken back when something was switched already, and this
 * rejects with an AbortError: that is no verdict on the change. Rejects with the failure when the undo itself, or the keeping,
 * fails: the journal on disk then goes on at the next recovery.
 */
export async function rotate(deps: RotateDeps, change: Change, signal: AbortSignal): Promise<RotateOutcome> {
  const report = new ChangeReport(deps.board, change);
  let permitted: Permitted;
  try {
    permitted = await prepare(deps, change, report, signal);
  } catch (error) {
    return notBegun(deps, change, report, error, signal);
  }
  const { permit } = permitted;
  deps.holdPermit(permit.permitId);
  try {
    return await make(deps, permitted, report, signal);
  } catch (error) {
    if (!(error instanceof Error && error.name === 'AbortError')) report.stuck(messageOf(error));
    throw error;
  } finally {
    deps.holdPermit('');
    await releasePermit(deps, permit);
  }
}

/** Everything that disturbs nothing: keys, certificates, staged files, and the wait for the permit. */
async function prepare(
  deps: RotateDeps,
  change: Change,
  report: ChangeReport,
  signal: AbortSignal,
): Promise<Permitted> {
  report.pending();
  const keyed = await makeKeys(change, deps.keyAlgorithm);
  const signed = await signChange(deps, keyed, signal);
  const staged = await stageChange(deps.transaction, signed);
  const summaries = change.components.flatMap(({ summary }) => summary).join('; ');
  const wish = {
    components: change.components.map(({ component }) => component),
    changeId: change.changeId,
    reason: summaries.slice(0, 300),
    waiting: (detail: string) => report.waiting(detail),
  };
  try {
    return { signed, staged, permit: await acquirePermit(deps, wish, signal) };
  } catch (error) {
    await undoChange(deps.transaction, change, AppError.from(error).message);
    throw error;
  }
}

/** Applies, restarts and verifies; then keeps, or takes back. */
async function make(
  deps: RotateDeps,
  { signed, staged, permit }: Permitted,
  report: ChangeReport,
  signal: AbortSignal,
): Promise<RotateOutcome> {
  const { change } = signed;
  let before: Before = { components: [] };
  let verdict: Verdict;
  let broken: unknown;
  try {
    before = await deps.verifier.remember(change, signal);
    report.applying();
    await deps.remember();
    const applied = await applyChange(deps.transaction, staged, permit, signal);
    const restarted = await restartUnits(deps.transaction, applied, signal);
    report.verifying(restarted.units);
    verdict = await deps.verifier.verify({ signed, restarted, permit }, signal);
  } catch (error) {
    broken = error;
    verdict = { ok: false, reason: AppError.from(error).message, checks: new Map() };
  }
  if (verdict.ok) {
    await keepChange(deps.transaction, change);
    report.kept(signed, verdict.checks);
    return { outcome: 'kept' };
  }
  // a check that was stopped looks like one that failed
  const interrupted = signal.aborted;
  deps.log.warn(interrupted ? 'change interrupted, undoing' : 'verification failed, undoing', {
    changeId: change.changeId,
    detail: verdict.reason,
    error: broken,
  });
  // No signal from here on: half a change is no place to stop.
  const undone = await undoChange(deps.transaction, change, verdict.reason);
  if (undone.outcome === 'discarded') return notBegun(deps, change, report, broken, signal);
  if (interrupted) {
    await forgetChange(deps.transaction.layout, change.changeId);
    report.interrupted(undone.units);
    signal.throwIfAborted();
  }
  const old = await deps.verifier.verifyBefore(before, new AbortController().signal);
  await forgetChange(deps.transaction.layout, change.changeId);
  // what answers as before is well, even if systemd's first attempt failed
  const unproved = undone.units.find(({ ok, component }) => !ok && !old.has(component));
  report.undone(verdict, old, undone.units, failureOf(old) ?? unproved?.detail);
  return { outcome: 'undone', reason: verdict.reason };
}

/** Nothing was touched, and nothing that was staged is left. */
function notBegun(
  deps: RotateDeps,
  change: Change,
  report: ChangeReport,
  error: unknown,
  signal: AbortSignal,
): RotateOutcome {
  report.pending(); // also for the server: what fails after it was applied would stop the rollout
  signal.throwIfAborted();
  const failure = AppError.from(error);
  deps.log.warn('change not begun', { changeId: change.changeId, error: failure });
  report.notBegun(failure);
  return { outcome: 'not-begun', reason: failure.message };
}
