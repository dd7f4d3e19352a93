/**
 * The way of a change through the agent, from top to bottom:
 *
 *     keys → sign → stage → permit → apply → restart → verify → keep | undo → report
 *
 * Until the permit is there nothing is disturbed. From the first switch on the change ends as kept or as undone, whatever happens.
 */
import { AppError, messageOf } from '../common/errors/app-error.ts';
import type { Component } from '../common/names/names.ts';
import { applyChange, type HeldPermit } from './apply/apply-change.ts';
import type { KeyChoice } from './keys/choose-algorithm.ts';
import { makeKeys } from './keys/make-keys.ts';
import { acquirePermit, type PermitDeps, releasePermit } from './permit/acquire-permit.ts';
import type { Change } from './plan/change.ts';
import { ChangeReport } from './report/change-report.ts';
import type { StatusBoard } from './report/status-board.ts';
import { restartLive } from './restart/restart-live.ts';
import { type RestartedChange, restartUnits } from './restart/restart-units.ts';
import { takeBack } from './rotate-undo.ts';
import { signChange } from './sign/sign-change.ts';
import type { SignedChange } from './sign/signed-change.ts';
import { type StagedChange, stageChange } from './stage/stage-change.ts';
import type { TransactionDeps } from './stage/transaction.ts';
import { keepChange } from './undo/keep-change.ts';
import { undoChange } from './undo/undo-change.ts';
import type { Before, Verdict, Verifier } from './verify/verifier.ts';

/** What a change needs. */
export interface RotateDeps extends PermitDeps {
  transaction: TransactionDeps;
  board: StatusBoard;
  verifier: Pick<Verifier, 'remember' | 'verify' | 'verifyBefore'>;
  keyAlgorithm: KeyChoice;
  /** Why the etcd of the change must not be restarted now, see membersDown. */
  membersDown(change: Change, signal: AbortSignal): Promise<string | undefined>;
  /** Why the change has to be planned again, see changedSince. */
  changedSince(change: Change, signal: AbortSignal): Promise<string | undefined>;
  /** Told of the permit while it is held, so that heartbeats renew it; '' when there is none. */
  holdPermit(permitId: string): void;
  /** Writes the statuses to disk: after a crash the node must not say that it is at rest. */
  remember(): Promise<void>;
  /** Writes the verdict on a change to disk before its journal goes: after a crash in between it would be made at once again. */
  noteFailed(change: Pick<Change, 'fingerprint'>, reason: string): Promise<void>;
}

/** How a change ended. */
export type RotateOutcome =
  | { outcome: 'kept' }
  /** The node is as before; reason names the line that tells why. */
  | { outcome: 'undone'; reason: string }
  /** Nothing was touched. */
  | { outcome: 'not-begun'; reason: string };

/** How often it is looked whether other etcd members are back. */
const OTHERS_MS = 5_000;
/** How often at most before a restart that follows on a live renewal: a minute. */
const OTHERS_LOOKS = 12;

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
 *
 * @param outdated why the change is not to be made any more, asked while it waits for its permit
 */
export async function rotate(
  deps: RotateDeps,
  change: Change,
  outdated: () => string | undefined,
  signal: AbortSignal,
): Promise<RotateOutcome> {
  const report = new ChangeReport(deps.board, change);
  let permitted: Permitted;
  try {
    permitted = await prepare(deps, change, report, outdated, signal);
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
  outdated: () => string | undefined,
  signal: AbortSignal,
): Promise<Permitted> {
  report.pending();
  await waitForOthers(deps, change, report, outdated, signal);
  const keyed = await makeKeys(change, deps.keyAlgorithm);
  const signed = await signChange(deps, keyed, signal);
  const staged = await stageChange(deps.transaction, signed);
  const summaries = change.components.flatMap(({ summary }) => summary).join('; ');
  const wish = {
    components: disturbed(change),
    changeId: change.changeId,
    reason: summaries.slice(0, 300),
    live: change.components.every(({ takeUp }) => takeUp === 'live'),
    outdated,
    waiting: (detail: string) => report.waiting(detail),
  };
  try {
    return { signed, staged, permit: await acquirePermit(deps, wish, signal) };
  } catch (error) {
    await undoChange(deps.transaction, change, AppError.from(error).message);
    throw error;
  }
}

/** Another member may just be having its turn; and while one is down no certificate is made in vain. */
async function waitForOthers(
  deps: RotateDeps,
  change: Change,
  report: ChangeReport,
  outdated: () => string | undefined,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const down = await deps.membersDown(change, signal);
    if (down === undefined) return;
    const why = outdated();
    if (why !== undefined) throw new AppError('conflict', why);
    report.waiting(down);
    await deps.clock.sleep(OTHERS_MS, signal);
  }
}

/** A live renewal asked nobody whether etcd may restart. When another member stays down the change is undone instead. */
async function refuseWhileOthersAreDown(
  deps: RotateDeps,
  change: Change,
  late: ReadonlySet<Component>,
  report: ChangeReport,
  signal: AbortSignal,
): Promise<void> {
  const components = change.components.map((each) =>
    late.has(each.component) ? { ...each, takeUp: 'restart' as const } : each,
  );
  for (let looks = 0; ; looks++) {
    const down = await deps.membersDown({ ...change, components }, signal);
    if (down === undefined) return;
    if (looks === OTHERS_LOOKS) throw new AppError('unavailable', `new files not taken up, and no restart: ${down}`);
    report.waiting(down);
    await deps.clock.sleep(OTHERS_MS, signal);
  }
}

/** A permit may take hours: what was true when the change was planned is looked at once more. */
async function refuseWhatChanged(deps: RotateDeps, change: Change, signal: AbortSignal): Promise<void> {
  const changed = await deps.changedSince(change, signal);
  if (changed !== undefined) throw new AppError('conflict', changed);
  const down = await deps.membersDown(change, signal);
  if (down !== undefined) throw new AppError('unavailable', down);
}

/** Everything that is away for a while. */
function disturbed({ components }: Change): Component[] {
  const ended = components.flatMap(({ takeUp, dependants = [] }) => (takeUp === 'restart' ? dependants : []));
  return [...new Set([...components, ...ended].map(({ component }) => component))];
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
  let restarted: RestartedChange | undefined;
  let verdict: Verdict;
  let broken: unknown;
  try {
    await refuseWhatChanged(deps, change, signal);
    before = await deps.verifier.remember(change, signal);
    report.applying();
    await deps.remember();
    const applied = await applyChange(deps.transaction, staged, permit, signal);
    restarted = await restartUnits(deps.transaction, applied, signal);
    report.verifying(restarted.units);
    verdict = await deps.verifier.verify({ signed, restarted, permit }, signal);
    const late = notTakenUp(restarted, verdict);
    if (late.size > 0 && !signal.aborted) {
      deps.log.warn('new files not taken up, restarting', { changeId: change.changeId, detail: verdict.reason });
      await refuseWhileOthersAreDown(deps, change, late, report, signal);
      restarted = await restartLive(deps.transaction, restarted, late, signal);
      report.verifying(restarted.units.filter(({ component }) => late.has(component)));
      verdict = await deps.verifier.verify({ signed, restarted, permit }, signal);
    }
  } catch (error) {
    broken = error;
    verdict = { ok: false, reason: AppError.from(error).message, checks: new Map() };
  }
  if (restarted !== undefined && verdict.ok) {
    await keepChange(deps.transaction, change);
    report.kept(signed, verdict.checks, restarted.units);
    return { outcome: 'kept' };
  }
  const undone = await takeBack(deps, { change, report, before, verdict, broken }, signal);
  return undone ?? notBegun(deps, change, report, broken, signal);
}

/** Components that should have taken their new files up while they run, do not show them, and run still. */
function notTakenUp({ ok, units }: RestartedChange, { checks }: Verdict): Set<Component> {
  if (!ok) return new Set();
  const late = units.filter(({ live, process, component }) => {
    const failed = (checks.get(component) ?? []).filter(({ result }) => result === 'failed');
    return live && process.kind !== 'none' && failed.length > 0 && failed.every(({ kind }) => kind !== 'unit');
  });
  return new Set(late.map(({ component }) => component));
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
