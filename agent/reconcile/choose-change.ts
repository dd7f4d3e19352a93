/** Which change of a plan is made next, and why the others are not. */
import type { Component, Mode } from '../../common/names/names.ts';
import type { Change, NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import type { AgentSettings, FailedChange } from '../report/agent-state.ts';
import { earliestEndMs, isLiveRenewal, isRenewal, retryDelayMs } from './renewal.ts';

/** What the choice rests on. */
export interface Choosing {
  input: PlanInput;
  plan: NodePlan;
  settings: AgentSettings;
  mode: Mode;
  failed: readonly FailedChange[];
  /** Fingerprints of what this pass has tried. */
  tried: ReadonlySet<string>;
  /** True on an operator's word: what failed before is tried again. */
  again: boolean;
  /** How long ago a change failed, milliseconds, whatever was done to the wall clock since. */
  ageMs(failed: FailedChange): number;
}

/** The choice. */
export interface Choice {
  change: Change | undefined;
  /** Why a change of the plan must not begin for now, whatever became of it before; '' when there is none such. */
  held: string;
}

/** Why an API server waits that shall verify kubelets from its first restart on. */
export const KUBELETS_FIRST =
  'the kubelets of all nodes come first, half an hour after the last one joined at most (cluster.nodes in server.yaml), so that one restart is enough for the API server to verify them too';
const NO_STEP = 'the server has not decided yet how far etcd goes';
/** The API server changes with its etcd. */
const STEPPING: readonly Component[] = ['etcd', 'kube-apiserver'];

/** Renewals without a restart come first: nothing stands in their way, while others may wait long for their permit. */
export function chooseChange(choosing: Choosing): Choice {
  const { plan, input, tried } = choosing;
  const first = plan.changes.filter((change) => isLiveRenewal(change, input));
  const renewals = plan.changes.filter((change) => !first.includes(change) && isRenewal(change, input));
  // what ends first takes the place of the first renewal, and so on: a change that does more keeps its own
  const soonest = bySoonestEnd(renewals, input);
  const rest = plan.changes.filter((change) => !first.includes(change));
  const ordered = [
    ...bySoonestEnd(first, input),
    ...rest.map((change) => (renewals.includes(change) ? (soonest.shift() ?? change) : change)),
  ];
  const held = ordered.map((change) => whyHeld(change, choosing)).find((reason) => reason !== undefined);
  const change = ordered.find(
    (each) => whyHeld(each, choosing) === undefined && !tried.has(each.fingerprint) && mayTry(each, choosing),
  );
  return { change, held: awaitsEtcdStep(input) ? NO_STEP : (held ?? '') };
}

/** Those whose certificates end first come first; of equal ones the order stays. */
function bySoonestEnd(changes: readonly Change[], input: PlanInput): Change[] {
  const endMs = ({ components }: Change) =>
    earliestEndMs(
      input,
      components.map(({ component }) => component),
    ) ?? Number.MAX_SAFE_INTEGER;
  return changes.toSorted((one, other) => endMs(one) - endMs(other));
}

/**
 * An etcd that was just found: the server decides its step from what was reported a moment ago, and settings wake the loop. While
 * no leaf of etcd's CA can be issued there is no step to wait for.
 */
export function awaitsEtcdStep({ etcdCluster, settings, rotation }: PlanInput): boolean {
  return etcdCluster !== undefined && settings.etcdStep === undefined && rotation.get('etcd')?.issuingPin !== '';
}

/** True for a change that would restart an API server before the nodes' kubelets are done. The server ends the wait in any case. */
export function awaitsKubelets(change: Change, { settings }: PlanInput): boolean {
  if (settings.kubeletVerification !== 'await-kubelets') return false;
  return change.components.some(({ component, takeUp }) => component === 'kube-apiserver' && takeUp === 'restart');
}

/** Why a change may not begin, or undefined. While the rollout is paused certificates would be issued for nothing. */
export function whyHeld(
  change: Change,
  { input, settings, mode }: Pick<Choosing, 'input' | 'settings' | 'mode'>,
): string | undefined {
  if (mode === 'observe') return 'this agent only observes: "kube-mtls-agent mode enforce" lets it change the node';
  if (settings.rolloutPaused && !isLiveRenewal(change, input))
    return 'the rollout is paused: resume it with "kube-mtls rollout resume" on the server';
  if (awaitsKubelets(change, input)) return KUBELETS_FIRST;
  if (awaitsEtcdStep(input) && change.components.some(({ component }) => STEPPING.includes(component))) return NO_STEP;
  return undefined;
}

/** What failed waits for an operator; a renewal only for a while, since nobody may come before its certificates end. */
function mayTry(change: Change, { failed, settings, again, input, ageMs }: Choosing): boolean {
  const before = failed.find(({ fingerprint }) => fingerprint === change.fingerprint);
  if (before === undefined || again || settings.retryGeneration > before.retryGeneration) return true;
  if (before.kind === 'drift' || !isRenewal(change, input)) return false;
  const endMs = earliestEndMs(
    input,
    change.components.map(({ component }) => component),
  );
  return ageMs(before) >= retryDelayMs(endMs ?? 0, before.atMs);
}
