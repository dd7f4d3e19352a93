/** The proof that a component runs and stays so: the process that the change started, or left running, is still the one. */
import { AppError } from '../../common/errors/app-error.ts';
import { type RunCommand, runChecked } from '../../common/run/command.ts';
import type { ProcessRef } from '../process/process-ref.ts';
import { type ProcessDeps, showProcess } from '../process/show-process.ts';
import type { CheckOutcome } from './checks.ts';
import { Findings } from './findings.ts';

/** How long a process has to stay up before it counts, in milliseconds. */
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
export type UnitDeps = ProcessDeps;

/** What has to run. */
export interface Started {
  process: ProcessRef;
  /** Invocation or container that has to be the one; whichever runs first when it is not known. */
  invocationId?: string;
  /** True when it ran before and was to take new files up. */
  live?: boolean;
}

/** One look at a process. */
interface Look {
  /** Everything that was seen, on one line. */
  line: string;
  /** What is wrong; undefined when the process is the one and runs. */
  complaint: string | undefined;
  /** What is right, in one sentence. */
  well: string;
}

/**
 * Watches the process for the settle time. Passes when it runs throughout, and is one and the same, which is the one of
 * `invocationId` where that is given. Skipped where nothing runs.
 *
 * @param settleMs 0 looks once
 * @throws AppError unavailable when systemctl fails
 */
export async function checkUnit(
  deps: UnitDeps,
  started: Started,
  settleMs: number,
  signal: AbortSignal,
): Promise<CheckOutcome> {
  const { process } = started;
  const findings = new Findings('unit', deps.clock);
  if (process.kind === 'none') return findings.skipped('nothing runs: these are files that people use');
  const source = process.kind === 'unit' ? `systemctl show ${process.unit}` : `container of ${process.pod}`;
  const look = process.kind === 'unit' ? unitLooks(deps, started, process.unit) : podLooks(deps, started, process);
  const untilMs = deps.clock.monotonicMs() + settleMs;
  let seen = await look(signal);
  while (seen.complaint === undefined && deps.clock.monotonicMs() < untilMs) {
    await deps.clock.sleep(Math.min(POLL_MS, untilMs - deps.clock.monotonicMs()), signal);
    seen = await look(signal);
  }
  if (seen.complaint !== undefined) findings.fail(source, seen.complaint);
  findings.note(source, seen.line);
  return findings.outcome(seen.well);
}

function unitLooks({ run }: UnitDeps, started: Started, unit: string): (signal: AbortSignal) => Promise<Look> {
  let first: UnitState | undefined;
  return async (signal) => {
    const state = await readUnitState(run, unit, signal);
    first ??= state;
    return {
      line: PROPERTIES.map((name) => `${name}=${state[name]}`).join(' '),
      complaint: complaintOf(state, first, started),
      well: `${unit} is active with process ${state.MainPID}`,
    };
  };
}

function podLooks(deps: UnitDeps, started: Started, pod: ProcessRef & { kind: 'static-pod' }) {
  let expected = started.invocationId;
  return async (signal: AbortSignal): Promise<Look> => {
    const { activeState, text, invocationId, mainPid } = await showProcess(deps, pod, signal);
    const active = activeState === 'active';
    if (active) expected ??= invocationId;
    const same = active && invocationId === expected;
    const gone = active ? `${whoIsGone(started)} is gone and another container runs: ${text}` : text;
    return {
      line: `${activeState}: ${text}, container ${invocationId || 'none'}, process ${mainPid}`,
      complaint: same ? undefined : gone,
      well: `${pod.pod} runs with the command of its manifest as process ${mainPid}`,
    };
  };
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

function complaintOf(state: UnitState, first: UnitState, started: Started): string | undefined {
  if (state.ActiveState !== 'active') {
    return `the unit is ${state.ActiveState} (${state.SubState}), result ${state.Result}, ${lastExit(state)}`;
  }
  if (state.MainPID === '0') return `the unit is active without a process, ${lastExit(state)}`;
  const same =
    state.InvocationID === (started.invocationId ?? first.InvocationID) && state.NRestarts === first.NRestarts;
  if (same && state.MainPID === first.MainPID) return undefined;
  const restarts = `${state.NRestarts} automatic restarts`;
  return `${whoIsGone(started)} is gone and another one runs (${restarts}, ${lastExit(state)})`;
}

function whoIsGone({ live }: Started): string {
  return live ? 'the process that was to take the new files up' : 'the process that the change started';
}

/** ExecMainCode is the CLD_* number of waitid(2): 1 exited, 2 killed, 3 dumped core. */
function lastExit(state: UnitState): string {
  if (state.ExecMainCode === '1') return `last exit with status ${state.ExecMainStatus}`;
  if (state.ExecMainCode === '2') return `last killed by signal ${state.ExecMainStatus}`;
  if (state.ExecMainCode === '3') return `last killed by signal ${state.ExecMainStatus} with a core dump`;
  return 'no exit seen';
}
