/**
 * Verifies one component after its restart, or after it was left to take new files up: unit, handshake, cluster, and last the journal, since a process may log its
 * failure only when it is called. Every check is made, also after one has failed: the report shall tell all there is.
 */
import { AppError } from '../../common/errors/app-error.ts';
import type { CheckKind } from '../../common/names/names.ts';
import type { RestartedUnit } from '../restart/restart-unit.ts';
import { checkCluster } from './check-cluster.ts';
import { checkHandshake, type LiveDeps } from './check-handshake.ts';
import { checkUnit, SETTLE_MS, type UnitDeps } from './check-unit.ts';
import type { CheckOutcome } from './checks.ts';
import type { Expectation } from './expectation.ts';
import { type Patience, READINESS_MS, type Silence, TAKE_UP_MS, UNANSWERED_MS } from './patience.ts';
import { awaitSuccessor, mostSuccessors } from './successor.ts';

/** What verification needs. */
export interface VerifyDeps extends UnitDeps, LiveDeps {
  /**
   * Judges what the process has written since its restart, or since it was to take new files up. Our own probes are in it too: callers without a certificate,
   * with plaintext, and for an API server one with a certificate of another CA.
   */
  judgeJournal(expectation: Expectation, restarted: RestartedUnit, signal: AbortSignal): Promise<CheckOutcome>;
}

/**
 * Verifies the process that the change started, or the one after it where another server made it end: an honest proof of what runs
 * now counts for more than that a process ended.
 *
 * @param unansweredMs how long it is waited besides for another server that does not answer, milliseconds
 * @returns unit, journal, handshake and cluster, each with its evidence
 * @throws AbortError when the signal fires
 */
export async function verifyComponent(
  deps: VerifyDeps,
  expectation: Expectation,
  restarted: RestartedUnit,
  signal: AbortSignal,
  unansweredMs = UNANSWERED_MS,
): Promise<CheckOutcome[]> {
  const silence: Silence = { mostMs: unansweredMs, spentMs: 0 };
  let outcomes = await verifyProcess(deps, expectation, restarted, silence, signal);
  let running = restarted;
  const most = mostSuccessors(restarted);
  for (let count = 1; count <= most && outcomes.some(({ result }) => result === 'failed'); count++) {
    const next = await awaitSuccessor(deps, running, signal).catch((error: unknown) => {
      if (error instanceof AppError) return undefined; // what failed before is told
      throw error;
    });
    if (next === undefined) return outcomes;
    const ended = outcomes.flatMap(({ evidence }) => evidence).find(({ cause }) => cause !== '');
    running = next;
    outcomes = await verifyProcess(deps, expectation, running, silence, signal);
    if (ended !== undefined)
      outcomes[0]?.evidence.push({ ...ended, line: `a process before ended: ${ended.line}`, cause: '' });
  }
  return outcomes;
}

/**
 * Verifies while it watches that the process stays up, and waits for the component to become ready as long as READINESS_MS allows, or to take new files up as long as
 * TAKE_UP_MS allows. It ends sooner when the process is gone.
 */
async function verifyProcess(
  deps: VerifyDeps,
  expectation: Expectation,
  restarted: RestartedUnit,
  silence: Silence,
  signal: AbortSignal,
): Promise<CheckOutcome[]> {
  const { clock } = deps;
  const guard = (kind: CheckKind, check: () => Promise<CheckOutcome>) => failedWhenThrown(deps, kind, check);

  let hasFallen = false;
  const settling = guard('unit', () => checkUnit(deps, restarted, SETTLE_MS, signal)).then((outcome) => {
    hasFallen = outcome.result === 'failed';
    return outcome;
  });
  settling.catch(() => undefined); // awaited below, unless another check throws before
  const patience: Patience = {
    // what an earlier process waited is not this one's time
    untilMs: clock.monotonicMs() + SETTLE_MS + patienceMs(restarted) - silence.spentMs,
    silence,
    hopeless: async () =>
      hasFallen || (await guard('unit', () => checkUnit(deps, restarted, 0, signal))).result === 'failed',
  };
  const handshake = await guard('handshake', () => checkHandshake(deps, expectation, patience, signal));
  const cluster = await guard('cluster', () =>
    checkCluster(deps, expectation, restarted.startedAtMs, patience, signal),
  );
  const settled = await settling;
  const after = await guard('unit', () => checkUnit(deps, restarted, 0, signal));
  const journal = await guard('journal', () => deps.judgeJournal(expectation, restarted, signal));
  return [settled.result === 'failed' ? settled : after, journal, handshake, cluster];
}

/** What nothing runs of is as it is from the first moment on. */
function patienceMs({ component, live, process }: RestartedUnit): number {
  return live && process.kind !== 'none' ? TAKE_UP_MS : READINESS_MS[component];
}

/** A check that cannot be made proves nothing: it counts as failed, with the reason. */
export async function failedWhenThrown(
  { clock }: Pick<VerifyDeps, 'clock'>,
  kind: CheckKind,
  check: () => Promise<CheckOutcome>,
): Promise<CheckOutcome> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const evidence = [
      { source: `check ${kind}`, line: error.message, observedAtMs: clock.nowMs(), cause: '', rank: 'proof' as const },
    ];
    return { kind, result: 'failed', summary: error.message, evidence };
  }
}
