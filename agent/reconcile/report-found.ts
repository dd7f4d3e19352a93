/** Reports what was found and what would change, for components that no change is busy with. */
import type { Mode } from '../../common/names/names.ts';
import type { Detected, Problem } from '../detect/detected.ts';
import type { NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { trustUses } from '../plan/trust-uses.ts';
import { nameOf, refOf } from '../process/process-ref.ts';
import type { FailedChange } from '../report/agent-state.ts';
import { TRUSTING } from '../report/change-report.ts';
import { endpointsOf } from '../report/endpoints-of.ts';
import type { Membership, Status, StatusBoard } from '../report/status-board.ts';
import { awaitsKubelets, KUBELETS_FIRST } from './choose-change.ts';

/** Dependencies. */
export interface ReportFoundDeps {
  board: StatusBoard;
  mode: Mode;
  /** Changes that are not tried again for now. */
  failed: readonly FailedChange[];
}

/** Puts every component of the node on the board, and those that are blocked or gone too. */
export function reportFound({ board, mode, failed }: ReportFoundDeps, input: PlanInput, plan: NodePlan): void {
  const { detected, settings } = input;
  for (const found of detected.components) {
    const whole = plan.changes.find(({ components }) => components.some((each) => each.component === found.component));
    const change = whole?.components.find((each) => each.component === found.component);
    const problem = plan.problems.find(({ component }) => component === found.component);
    const known = board.get(found.component);
    const endpoints = endpointsOf(found, settings.addresses, settings.cluster.apiEndpoint);
    const unit = nameOf(refOf(found.process));
    const common = { unit, version: found.version, endpoints, etcd: membershipOf(found, input) };
    if (problem !== undefined) {
      board.set(found.component, { ...common, state: 'failed', reason: describe(problem), pendingFiles: [] });
    } else if (whole !== undefined && change !== undefined) {
      const pendingFiles = [change.folder, ...change.files.map(({ path }) => path)];
      const judged = failed.find(({ fingerprint }) => fingerprint === whole?.fingerprint);
      const summary = awaitsKubelets(whole, input) ? [KUBELETS_FIRST, ...change.summary] : change.summary;
      board.set(found.component, { ...common, pendingFiles, ...pendingState(known, mode, summary, judged) });
    } else {
      board.set(found.component, { ...common, pendingFiles: [], ...settledState(known, common.etcd) });
    }
  }
  // what could not even be detected is a problem with a name
  for (const problem of plan.problems) {
    const { component } = problem;
    if (detected.components.some((found) => found.component === component)) continue;
    board.set(component, { state: 'failed', reason: describe(problem) });
  }
  board.keepOnly([...detected.components, ...plan.problems].map(({ component }) => component));
}

/** With file and line, as an operator looks for it. */
function describe({ message, path, line }: Problem): string {
  if (path === undefined) return message;
  return `${path}${line === undefined ? '' : `:${line}`}: ${message}`;
}

/** A change that failed keeps its verdict until it is tried again. */
function pendingState(
  known: Status | undefined,
  mode: Mode,
  summary: string[],
  judged: FailedChange | undefined,
): Partial<Status> {
  if (judged?.kind === 'drift' && mode === 'enforce') return { state: 'degraded', reason: judged.reason };
  if (judged?.kind === 'failed' && known !== undefined && ['rolled-back', 'failed', 'pending'].includes(known.state))
    return {};
  const reason = `${mode === 'observe' ? 'observing only; would change: ' : ''}${summary.join('; ')}`;
  return { state: mode === 'observe' ? 'detected' : 'pending', reason };
}

/** Nothing to do: what was proved stays proved; what was blocked or planned before is merely found. */
function settledState(known: Status | undefined, etcd: Membership | undefined): Partial<Status> {
  const prepared = known?.state === 'pending' && etcd?.prepared === true && !etcd.enforced;
  const trusting = known?.state === 'pending' && known.reason === TRUSTING;
  const stays = prepared || trusting || known?.state === 'verified' || known?.state === 'degraded';
  return stays ? {} : { state: 'detected', reason: '' };
}

function membershipOf(found: Detected, { etcdCluster, layout }: PlanInput): Membership | undefined {
  if (found.component !== 'etcd' || etcdCluster === undefined) return undefined;
  const setting = (name: string) => found.effectiveSettings.get(name)?.value ?? '';
  const prepared = setting('peer-cert-file').startsWith(`${layout.pkiFolder}/`);
  return {
    clusterId: etcdCluster.clusterId,
    members: etcdCluster.members.map(({ id, name }) => name || id).sort(),
    prepared,
    plaintext: trustUses(found).length === 0,
    enforced:
      prepared &&
      setting('peer-client-cert-auth') === 'true' &&
      setting('listen-peer-urls')
        .split(',')
        .every((url) => url.startsWith('https://')),
  };
}
