/** Restarts one unit and waits for systemd's job, not for a number of seconds. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { ProcessRef } from '../process/process-ref.ts';
import type { TransactionDeps } from '../stage/transaction.ts';
import { endingSlowUnit } from './end-slow-unit.ts';
import { showUnit, startedAtMs, type UnitState } from './unit-state.ts';

/** How a process came to use the new files. */
export interface RestartedUnit {
  component: Component;
  process: ProcessRef;
  /** The process as a person calls it: "etcd.service", "etcd-cp1", '' where nothing runs. */
  unit: string;
  /** True when nothing was restarted: the process that ran before takes the new files up by itself. */
  live: boolean;
  /** Cursor of the journal from just before: what the new process writes comes after it. '' for a static pod. */
  cursor: string;
  /**
   * When the new process started (when the restart was asked for, if it never did); for a live take-up when the files were
   * switched. Milliseconds since the epoch.
   */
  startedAtMs: number;
  /** Of the process after the restart: systemd's invocation, or the container's identifier. */
  invocationId: string;
  /**
   * True when systemd's job ended well and the unit is active as a new invocation, when a new container runs with the manifest's
   * command, or, for a live take-up, when the process is active.
   */
  ok: boolean;
  /** Other components whose containers were ended for it, and restarted by kubelet. */
  ended?: readonly Component[];
  /** "active (running)", or what went wrong in systemd's words, or what is seen of the containers. */
  detail: string;
}

/** Beyond what the unit's own limits allow, for the job to be queued and answered. */
const SLACK_MS = 60_000;
/** For units that systemd would wait for without an end. */
const NO_LIMIT_MS = 15 * 60_000;

/**
 * Restarts a unit; an API server that is slow to stop is ended (end-slow-stop.ts). A restart that fails is an answer, not an error: the
 * undo has to tell of it.
 *
 * @throws AppError 'unavailable' when the signal fires or systemd does not answer, 'not-found' without such a unit
 */
export async function restartUnit(
  deps: Pick<TransactionDeps, 'layout' | 'run' | 'clock' | 'log' | 'currentCursor'>,
  component: Component,
  unit: string,
  signal?: AbortSignal,
): Promise<RestartedUnit> {
  const before = await showUnit(deps.run, unit, signal);
  const cursor = await deps.currentCursor(signal);
  const askedAtMs = deps.clock.nowMs();
  const failure = await endingSlowUnit(deps, component, unit, before.mainPid, () =>
    runJob(deps, unit, limitOf(before), signal),
  );
  const after = await showUnit(deps.run, unit, signal);
  const fresh = after.invocationId !== before.invocationId;
  const ok = failure === '' && after.activeState === 'active' && fresh;
  return {
    component,
    process: { kind: 'unit', unit },
    unit,
    live: false,
    cursor,
    startedAtMs: fresh ? Math.max(askedAtMs, startedAtMs(after, deps.clock.nowMs())) : askedAtMs,
    invocationId: after.invocationId,
    ok,
    detail: ok ? stateText(after) : explain(failure, after, fresh),
  };
}

/** Waits for the job; the answer is empty when it ended well, else what systemctl wrote. */
async function runJob(
  deps: Pick<TransactionDeps, 'run'>,
  unit: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string> {
  try {
    const options = signal === undefined ? { timeoutMs } : { timeoutMs, signal };
    const result = await deps.run(['systemctl', 'restart', '--', unit], options);
    if (result.code === 0) return '';
    const [line = ''] = result.stderr.trim().split('\n');
    return line.slice(0, 500) || `systemctl restart failed (${result.code})`;
  } catch (error) {
    const failure = AppError.from(error);
    if (failure.reason !== 'deadline') throw failure;
    return `systemd's job did not end within ${Math.round(timeoutMs / 1000)} s`;
  }
}

function limitOf(state: UnitState): number {
  const limitMs = state.stopLimitMs + state.startLimitMs;
  return Number.isFinite(limitMs) ? limitMs + SLACK_MS : NO_LIMIT_MS;
}

function explain(failure: string, after: UnitState, fresh: boolean): string {
  const stale = fresh || failure !== '' ? [] : ['systemd did not start it anew'];
  return [...(failure === '' ? [] : [failure]), ...stale, `${stateText(after)}, result ${after.result}`].join('; ');
}

function stateText(state: UnitState): string {
  return `${state.activeState} (${state.subState})`;
}
