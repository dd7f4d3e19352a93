/** Reports what was found and what would change, for components that no change is busy with. */
import type { Mode } from '../../common/names/names.ts';
import type { Detected } from '../detect/detected.ts';
import type { NodePlan } from '../plan/change.ts';
import type { PlanInput } from '../plan/plan-input.ts';
import { endpointsOf } from '../report/endpoints-of.ts';
import type { Membership, Status, StatusBoard } from '../report/status-board.ts';

/** Dependencies. */
export interface ReportFoundDeps {
  board: StatusBoard;
  mode: Mode;
}

/** Puts every component of the node on the board, and those that are blocked or gone too. */
export function reportFound({ board, mode }: ReportFoundDeps, input: PlanInput, plan: NodePlan): void {
  const { detected, settings } = input;
  for (const found of detected.components) {
    const change = plan.changes
      .flatMap(({ components }) => components)
      .find((each) => each.component === found.component);
    const problem = plan.problems.find(({ component }) => component === found.component);
    const known = board.get(found.component);
    const endpoints = endpointsOf(found, settings.addresses, settings.cluster.apiEndpoint);
    const common = { unit: found.unit.name, version: found.version, endpoints, etcd: membershipOf(found, input) };
    if (problem !== undefined) {
      board.set(found.component, { ...common, state: 'failed', reason: problem.message, pendingFiles: [] });
    } else if (change !== undefined) {
      const pendingFiles = [change.folder, ...change.files.map(({ path }) => path)];
      board.set(found.component, { ...common, pendingFiles, ...pendingState(known, mode, change.summary) });
    } else {
      board.set(found.component, { ...common, pendingFiles: [], ...settledState(known) });
    }
  }
  // what could not even be detected is a problem with a name
  for (const { component, message } of plan.problems) {
    if (detected.components.some((found) => found.component === component)) continue;
    board.set(component, { state: 'failed', reason: message });
  }
  board.keepOnly([...detected.components, ...plan.problems].map(({ component }) => component));
}

/** A change that failed keeps its verdict until it is tried again. */
function pendingState(known: Status | undefined, mode: Mode, summary: string[]): Partial<Status> {
  if (known?.state === 'rolled-back' || (known?.state === 'failed' && known.checks.length > 0)) return {};
  const reason = `${mode === 'observe' ? 'observing only; would change: ' : ''}${summary.join('; ')}`;
  return { state: mode === 'observe' ? 'detected' : 'pending', reason };
}

/** Nothing to do: what was proved stays proved; what was blocked or planned before is merely found. */
function settledState(known: Status | undefined): Partial<Status> {
  const stays =
    known !== undefined && ['verified', 'degraded', 'pending'].includes(known.state) && known.checks.length > 0;
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
    enforced:
      prepared && setting('peer-client-cert-auth') === 'true' && setting('listen-peer-urls').includes('https://'),
  };
}
