/** The proof that the unit is active and stays so: the process that the change started is still the one that runs. */
import { AppError } from '../../common/errors/app-error.ts';
import { type RunCommand, runChecked } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { CheckOutcome } from './checks.ts';
import { Findings } from './findings.ts';

/** How long a unit has to stay up before it counts, in milliseconds. */
export const SETTLE_MS = 5000;

const POLL_MS = 1000;

/** Properties of systemd(1) that tell one process from the next, and how the last one ended. */
const PROPERTIES = [
  'ActiveState',
  'SubState',
  'MainPID',
  'InvocationID',
  'NRestarts',
  'Result',
  'ExecMainCode',
  'ExecMainStatus',
] as const;

/** What systemd says of a unit; values are its own words. */
export type UnitState = Record<(typeof PROPERTIES)[number], string>;

/** What the check needs. */
export interface UnitDeps {
  clock: Clock;
  run: RunCommand;
}

/**
 * Watches the unit for the settle time. Passes when it is active throughout, with one and the same process, which is
 * the one of `invocationId` where that is given.
 *
 * @param started unit and, where known, the InvocationID that the restart saw
 * @param settleMs 0 looks once
 * @throws AppError unavailable when systemctl fails
 */
export async function checkUnit(
  deps: UnitDeps,
  started: { unit: string; invocationId?: string },
  settleMs: number,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const findings = new Findings('unit', deps.clock);
  const source = `systemctl show ${started.unit}`;
  const untilMs = deps.clock.nowMs() + settleMs;
  const first = await readUnitState(deps.run, started.unit, signal);
  let state = first;
  let complaint = complaintOf(first, first, started.invocationId);
  while (complaint === undefined && deps.clock.nowMs() < untilMs) {
    await deps.clock.sleep(Math.min(POLL_MS, untilMs - deps.clock.nowMs()), signal);
    state = await readUnitState(deps.run, started.unit, signal);
    complaint = complaintOf(state, first, started.invocationId);
  }
  if (complaint !== undefined) findings.fail(source, complaint);
  findings.note(source, PROPERTIES.map((name) => `${name}=${state[name]}`).join(' '));
  return findings.outcome(`${started.unit} is active with process ${state.MainPID}`);
}

/** What systemd says of the unit now. */
export async function readUnitState(run: RunCommand, unit: string, signal: AbortSignal): Promise<UnitState> {
  const text = await runChecked(run, ['systemctl', 'show', '-p', PROPERTIES.join(','), '--', unit], { signal });
  const values = new Map(
    text.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1)] as const;
    }),
  );
  const value = (name: string) => values.get(name) ?? '';
  if (value('ActiveState') === '') {
    throw new AppError('unavailable', `systemctl says nothing of ${unit}: check that systemd runs and knows it`);
  }
  return {
    ActiveState: value('ActiveState'),
    SubState: value('SubState'),
    MainPID: value('MainPID'),
    InvocationID: value('InvocationID'),
    NRestarts: value('NRestarts'),
    Result: value('Result'),
    ExecMainCode: value('ExecMainCode'),
    ExecMainStatus: value('ExecMainStatus'),
  };
}

function complaintOf(state: UnitState, first: UnitState, invocationId: string | undefined): string | undefined {
  if (state.ActiveState !== 'active') {
    return `the unit is ${state.ActiveState} (${state.SubState}), result ${state.Result}, ${lastExit(state)}`;
  }
  if (state.MainPID === '0') return `the unit is active without a process, ${lastExit(state)}`;
  const same = state.InvocationID === (invocationId ?? first.InvocationID) && state.NRestarts === first.NRestarts;
  if (same && state.MainPID === first.MainPID) return undefined;
  const restarts = `${state.NRestarts} automatic restarts`;
  return `the process that the change started is gone and another one runs (${restarts}, ${lastExit(state)})`;
}

/** ExecMainCode is the CLD_* number of waitid(2): 1 exited, 2 killed, 3 dumped core. */
function lastExit(state: UnitState): string {
  if (state.ExecMainCode === '1') return `last exit with status ${state.ExecMainStatus}`;
  if (state.ExecMainCode === '2') return `last killed by signal ${state.ExecMainStatus}`;
  if (state.ExecMainCode === '3') return `last killed by signal ${state.ExecMainStatus} with a core dump`;
  return 'no exit seen';
}
