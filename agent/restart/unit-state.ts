/** What systemd says of a unit. */
import { AppError } from '../../common/errors/app-error.ts';
import { type RunCommand, runChecked } from '../../common/run/command.ts';
import { parseTimeSpan } from './time-span.ts';

/** A unit as systemd sees it now; org.freedesktop.systemd1(5) tells what the words mean. */
export interface UnitState {
  /** "active", "activating", "inactive", "failed", … */
  activeState: string;
  /** "running", "auto-restart", "dead", … */
  subState: string;
  /** "enabled", "disabled", "static", "masked", …, or empty. */
  unitFileState: string;
  mainPid: number;
  /** New with every start, automatic ones included; empty for a unit that never ran since the boot. */
  invocationId: string;
  /** Automatic restarts since the last start that was asked for. */
  restarts: number;
  /** When the main process started, microseconds of CLOCK_MONOTONIC; 0 when it never did. */
  startedMonotonicUs: number;
  /** "success", "exit-code", "timeout", … */
  result: string;
  /** How long systemd gives it to stop and to start, milliseconds; Infinity when it waits for ever. */
  stopLimitMs: number;
  startLimitMs: number;
}

const PROPERTIES = [
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'MainPID',
  'InvocationID',
  'NRestarts',
  'ExecMainStartTimestampMonotonic',
  'Result',
  'TimeoutStopUSec',
  'TimeoutStartUSec',
] as const;

/**
 * The main process of a unit that ran last, also one that has ended; 0 when none ever did. journald does not know the unit of a line that it
 * reads when its writer has ended already, as of an etcd 3.4, which writes to journald's socket itself (3 of 40 were not found by unit on two
 * busy processors, systemd 252); the kernel tells it the process all the same.
 *
 * @throws AppError 'unavailable' when systemd does not answer
 */
export async function lastMainPid(run: RunCommand, unit: string, signal: AbortSignal): Promise<number> {
  const text = await runChecked(run, ['systemctl', 'show', '-p', 'ExecMainPID', '--value', '--', unit], { signal });
  return Number(text.trim()) || 0;
}

/**
 * Asks systemd for a unit.
 *
 * @throws AppError 'not-found' when there is no such unit, 'unavailable' when systemd does not answer
 */
export async function showUnit(run: RunCommand, unit: string, signal?: AbortSignal): Promise<UnitState> {
  const argv = ['systemctl', 'show', '-p', PROPERTIES.join(','), '--', unit] as const;
  const text = await runChecked(run, argv, signal === undefined ? {} : { signal });
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) values.set(line.slice(0, at), line.slice(at + 1));
  }
  const value = (name: (typeof PROPERTIES)[number]) => values.get(name) ?? '';
  if (value('ActiveState') === '') throw new AppError('unavailable', `systemd said nothing of ${unit}`);
  if (value('LoadState') === 'not-found')
    throw new AppError('not-found', `there is no unit ${unit} any more: plan again`);
  return {
    activeState: value('ActiveState'),
    subState: value('SubState'),
    unitFileState: value('UnitFileState'),
    mainPid: Number(value('MainPID')),
    invocationId: value('InvocationID'),
    restarts: Number(value('NRestarts')),
    startedMonotonicUs: Number(value('ExecMainStartTimestampMonotonic')),
    result: value('Result'),
    stopLimitMs: parseTimeSpan(value('TimeoutStopUSec')),
    startLimitMs: parseTimeSpan(value('TimeoutStartUSec')),
  };
}

/** True for a unit that nobody wants to run: it is stopped, and no boot starts it. */
export function isLeftStopped(state: UnitState): boolean {
  return state.activeState === 'inactive' && /^(disabled|masked)/.test(state.unitFileState);
}

/** When the main process started, milliseconds since the epoch by a wall clock that reads `nowMs` now; `nowMs` when it never did. */
export function startedAtMs(state: UnitState, nowMs: number): number {
  if (!(state.startedMonotonicUs > 0)) return nowMs;
  const agoMs = Number(process.hrtime.bigint()) / 1e6 - state.startedMonotonicUs / 1000; // both are CLOCK_MONOTONIC
  return Math.round(nowMs - Math.max(0, agoMs));
}
