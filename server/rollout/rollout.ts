/** The one rollout: whether permits flow. A failure or an operator stops it; only an operator lets it go on. */
import type { MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { components } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { RolloutSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { recordEvent } from '../events/record-event.ts';
import type { Coordinator } from '../permit/coordinator.ts';
import type { RolloutRecord, Store } from '../store/store.ts';

/** What the rollout needs. */
export interface RolloutDeps {
  store: Store;
  clock: Clock;
  permits: Pick<Coordinator, 'list'>;
  /** Tells the agents. */
  pushSettings: () => Promise<void>;
}

/** Who stops it and why. */
export interface Stop {
  actor: string;
  /** For those who look later. */
  reason: string;
  /** The node whose failure it was, or ''. */
  node: string;
  /** Address of the operator, or ''. */
  source: string;
}

/** No further permit. What stopped it first stays as the reason. */
export async function pauseRollout(stop: Stop, deps: RolloutDeps): Promise<void> {
  const rollout = await deps.store.getRollout();
  if (rollout.paused) return;
  const { reason, node } = stop;
  await deps.store.putRollout({ ...rollout, paused: true, reason, node, pausedAtMs: deps.clock.nowMs() });
  const message = `the rollout stops, the rest of the fleet is untouched: ${reason}`;
  await recordEvent(deps.store, { kind: 'rollout.paused', actor: stop.actor, node, message, source: stop.source });
  await deps.pushSettings();
}

/** For whom the rollout goes on. */
export interface Resume {
  actor: string;
  /** Address of the operator. */
  source: string;
  /** Nodes for which it stays paused from now on, besides those that are left out already. */
  leaveOut?: readonly string[];
  /** Nodes that are left out no more. */
  letIn?: readonly string[];
}

/**
 * Permits flow again, and what failed is tried again; but not for nodes that are left out. Those get permits as while the rollout
 * is paused, to undo and to take files up live; their failures stop nothing, and no kubelet waits for them.
 *
 * @throws AppError 'node-unknown' for a node to leave out that is none, 'not-found' for one to let in that is not left out
 */
export async function resumeRollout(resume: Resume, deps: RolloutDeps): Promise<void> {
  const { actor, source, leaveOut = [], letIn = [] } = resume;
  const rollout = await deps.store.getRollout();
  for (const name of leaveOut) {
    const node = await deps.store.getNode(name);
    if (node !== undefined && !node.revoked) continue;
    throw new AppError('node-unknown', `there is no node ${name}; "kube-mtls nodes" lists them`);
  }
  const stranger = letIn.find((name) => !rollout.leftOut.includes(name));
  if (stranger !== undefined) throw new AppError('not-found', `${stranger} is not left out of the rollout`);
  const leftOut = [...new Set([...rollout.leftOut, ...leaveOut])].filter((name) => !letIn.includes(name)).sort();
  const retryGeneration = rollout.retryGeneration + 1;
  await deps.store.putRollout({ paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration, leftOut });
  const without = leftOut.length === 0 ? '' : `; left out: ${leftOut.join(', ')}`;
  const message = `failed changes are tried again${without}`;
  await recordEvent(deps.store, { kind: 'rollout.resumed', actor, source, message });
  await deps.pushSettings();
}

/** How it stands and who holds permits. */
export async function showRollout(
  deps: Pick<RolloutDeps, 'store' | 'permits'>,
): Promise<MessageInitShape<typeof RolloutSchema>> {
  const rollout: RolloutRecord = await deps.store.getRollout();
  return {
    paused: rollout.paused,
    reason: rollout.reason,
    node: rollout.node,
    leftOut: [...rollout.leftOut],
    ...(rollout.paused ? { pausedAt: timestampFromMs(rollout.pausedAtMs) } : {}),
    permits: deps.permits.list().map((permit) => ({
      permitId: permit.id,
      node: permit.node,
      components: permit.components.map(components.toNumber),
      expiresAt: timestampFromMs(permit.expiresAtMs),
    })),
  };
}
