/**
 * Whether API servers shall verify kubelets, and when they may be restarted for it. It is decided once and stays: a kubelet that is
 * renewed, or a node that joins, must not make every API server take the flag back and restart twice. The decision is an event, so that
 * it survives.
 */
import type { ComponentState } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { SavedTimes } from '../../common/time/saved-times.ts';
import { KubeletVerification } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { recordEvent } from '../events/record-event.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { NodeRecord, Store } from '../store/store.ts';

const KIND = 'settings.kubelets-verified';
/** So long after the last node has joined, and since any node has been changed at all, API servers wait for kubelets; milliseconds. */
const LONGEST_WAIT_MS = 30 * 60_000;
/** States of a kubelet whose agent is about to give it a certificate of ours. Nobody waits for one that failed, or is only observed. */
const COMING: readonly ComponentState[] = ['detected', 'pending', 'waiting-for-permit', 'applying', 'verifying'];

/** How it is decided: by what the fleet reports, or by the operator. */
export type VerifyKubelets = 'auto' | 'always' | 'never';

/** A node, as far as it is waited for. */
export type JoinedNode = Pick<NodeRecord, 'name' | 'enrolledAtMs' | 'mode'>;

/** The fleet, as far as kubelets are concerned. */
export interface FleetOfKubelets {
  components: readonly FleetComponent[];
  /** Without those that were removed; asked only where somebody may wait for them. */
  nodes: () => Promise<readonly JoinedNode[]>;
  /** Nodes that are left out of the rollout. */
  leftOut: readonly string[];
  /** True when the node is connected and its agent has looked at all of it. */
  isSurveyed: (node: string) => boolean;
  /** True when each node that is connected was looked at: one that is being looked at may have a kubelet that nobody has heard of. */
  isComplete: boolean;
  /** True while API servers and kubelets trust the CA that signs, since it was theirs before: then kubelets can come first. */
  kubeletsCanComeFirst: boolean;
}

/** The decision. */
export interface KubeletLatch {
  /** What holds now. */
  readonly value: KubeletVerification;
  /** Looks at the fleet, and decides when the time has come. */
  update(fleet: FleetOfKubelets): Promise<void>;
}

/** What it needs. */
export interface KubeletLatchDeps {
  store: Store;
  clock: Clock;
  mode: VerifyKubelets;
  /** How many nodes will join, as the operator says; undefined when nobody knows. */
  nodes: number | undefined;
}

/** Reads what was decided before. */
export async function loadKubeletLatch({ store, clock, mode, nodes }: KubeletLatchDeps): Promise<KubeletLatch> {
  const { rows } = await store.listEvents({ kind: KIND }, { size: 1, after: undefined });
  let idleMs = clock.monotonicMs(); // when it started, or when every agent merely observed last
  const enrolled = new SavedTimes(clock);
  let decided = rows.length > 0;
  let awaited = false;

  /** Whoever waits for what may never come does not wait for ever. */
  async function waits(fleet: FleetOfKubelets): Promise<boolean> {
    if (nodes === undefined || !fleet.kubeletsCanComeFirst) return false;
    const joined = await fleet.nodes();
    const nowMs = clock.monotonicMs();
    if (joined.every(({ mode }) => mode !== 'enforce')) idleMs = nowMs;
    const ages = joined.map(({ name, enrolledAtMs }) => enrolled.ageMs(name, enrolledAtMs));
    if (Math.min(nowMs - idleMs, ...ages) >= LONGEST_WAIT_MS) return false;
    return joined.length < nodes || isAnyComing(fleet, joined);
  }

  return {
    get value() {
      if (mode === 'never') return KubeletVerification.UNSPECIFIED;
      if (mode === 'always') return KubeletVerification.AT_ONCE;
      if (decided) return KubeletVerification.WITH_RESTART;
      return awaited ? KubeletVerification.AWAIT_KUBELETS : KubeletVerification.UNSPECIFIED;
    },
    async update(fleet) {
      if (decided || mode !== 'auto') return;
      awaited = await waits(fleet);
      if (awaited || !fleet.isComplete || !allKubeletsVerified(fleet.components)) return;
      decided = true;
      await recordEvent(store, {
        kind: KIND,
        message: 'every kubelet serves a certificate of ours; API servers verify them from their next restart on',
      });
    },
  };
}

/** True when there are kubelets and each of them serves a certificate of ours, proved. */
export function allKubeletsVerified(components: readonly FleetComponent[]): boolean {
  const kubelets = components.filter((row) => row.component === 'kubelet');
  return kubelets.length > 0 && kubelets.every((row) => row.state === 'verified');
}

function isAnyComing({ components, leftOut, isSurveyed }: FleetOfKubelets, joined: readonly JoinedNode[]): boolean {
  const isAsked = ({ name, mode }: JoinedNode) => mode !== 'observe' && !leftOut.includes(name);
  const coming = components.filter((row) => row.component === 'kubelet' && COMING.includes(row.state));
  return joined.some(
    (node) => isAsked(node) && (!isSurveyed(node.name) || coming.some((kubelet) => kubelet.node === node.name)),
  );
}
