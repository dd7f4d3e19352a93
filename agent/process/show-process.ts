/** How a component's process is now, whatever runs it: systemd or kubelet. */
import { readBounded } from '../../common/files/read-bounded.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { Layout } from '../layout.ts';
import { isLeftStopped, showUnit, startedAtMs } from '../restart/unit-state.ts';
import { absent } from '../stage/file-state.ts';
import { type PodRef, podContainers, shortId } from './pod-containers.ts';
import type { ProcessRef } from './process-ref.ts';

/** A process as it is now. */
export interface ProcessState {
  /**
   * "active", "activating", "inactive", "failed", … in systemd's words. A static pod is "active" while a container runs with the
   * command of its manifest, "activating" while none does, "inactive" without a manifest. '' where nothing runs.
   */
  activeState: string;
  /** For a person: "active (running)", "container 0123456789ab runs". */
  text: string;
  /** New with every start: systemd's invocation, or the container's identifier; '' when none runs. */
  invocationId: string;
  /** False for what nobody wants to run: a unit that is stopped and disabled, a pod without a manifest, kind 'none'. */
  wanted: boolean;
  /** When the process started, milliseconds since the epoch; now when none runs. */
  startedAtMs: number;
  /** 0 when none runs. */
  mainPid: number;
  /** How the last run ended, in systemd's words: "success", "exit-code", …; '' for a static pod. */
  result: string;
  /** How long it is given to stop and to start, milliseconds; Infinity without a limit. 0 for what systemd does not run. */
  stopLimitMs: number;
  startLimitMs: number;
}

/** kubelet takes no manifest of more than 10 MB (pkg/kubelet/config, maxConfigLength); bytes. */
const MOST_BYTES = 10 << 20;

/** What the look needs. */
export interface ProcessDeps {
  layout: Layout;
  run: RunCommand;
  clock: Clock;
}

/**
 * Looks at a process.
 *
 * @throws AppError 'not-found' when there is no such unit, 'unavailable' when systemd does not answer or the signal fires
 */
export async function showProcess(deps: ProcessDeps, ref: ProcessRef, signal?: AbortSignal): Promise<ProcessState> {
  switch (ref.kind) {
    case 'unit':
      return showSystemdUnit(deps, ref.unit, signal);
    case 'static-pod':
      return showPod(deps, ref);
    case 'none':
      return { ...nothing(deps), activeState: '', text: '', wanted: false };
  }
}

/** The manifest's text; undefined when there is none, or no file that kubelet would read: so people stop a static pod. */
export async function readManifest(path: string): Promise<string | undefined> {
  const found = await readBounded(path, MOST_BYTES).catch(absent);
  return found?.kind === 'file' ? found.content.toString() : undefined;
}

async function showSystemdUnit(deps: ProcessDeps, unit: string, signal?: AbortSignal): Promise<ProcessState> {
  const state = await showUnit(deps.run, unit, signal);
  const { activeState, subState, invocationId, mainPid, result, stopLimitMs, startLimitMs } = state;
  return {
    activeState,
    text: `${activeState} (${subState})`,
    invocationId,
    wanted: !isLeftStopped(state),
    startedAtMs: startedAtMs(state, deps.clock.nowMs()),
    mainPid,
    result,
    stopLimitMs,
    startLimitMs,
  };
}

async function showPod(deps: ProcessDeps, ref: PodRef): Promise<ProcessState> {
  const { manifest, container } = ref;
  const absentState = (activeState: string, text: string, wanted: boolean) => ({
    ...nothing(deps),
    activeState,
    text,
    wanted,
  });
  const manifestText = await readManifest(manifest);
  if (manifestText === undefined) return absentState('inactive', `there is no ${manifest}`, false);
  const found = await podContainers(deps.layout, ref, manifestText);
  if (found === undefined) {
    return absentState('activating', `${manifest} says no command of a container ${container}`, true);
  }
  const [current] = found.running;
  if (current === undefined) {
    const others = found.others.map(({ containerId }) => `container ${shortId(containerId)} runs with other arguments`);
    const text = [`no container runs with the command of ${manifest}`, ...others].join('; ');
    return absentState('activating', text, true);
  }
  return {
    ...nothing(deps),
    activeState: 'active',
    text: `container ${shortId(current.containerId)} runs`,
    invocationId: current.containerId,
    wanted: true,
    startedAtMs: current.startedAtMs,
    mainPid: current.pid,
  };
}

function nothing({ clock }: ProcessDeps) {
  return { invocationId: '', startedAtMs: clock.nowMs(), mainPid: 0, result: '', stopLimitMs: 0, startLimitMs: 0 };
}
