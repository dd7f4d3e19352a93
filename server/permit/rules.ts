/** What stands in the way of disturbing a component. */
import type { Component, ComponentState } from '../../common/names/names.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { HeldPermit, PermitWish } from './permit.ts';

/** Everything that the rules look at. */
export interface Situation {
  node: string;
  wish: Pick<PermitWish, 'components' | 'undo' | 'live'>;
  /** Permits of other nodes. */
  others: readonly Pick<HeldPermit, 'node' | 'components'>[];
  /** Components of the whole fleet. */
  components: readonly FleetComponent[];
  kubeletShare: number;
  /** True when the newest permit of a node for the component takes a place in the share, and is not beyond its greatest age. */
  hasPlace: (node: string, component: Component) => boolean;
  /** True while the node may come back with a permit for the component that a former run of the server gave. */
  mayComeBack: (node: string, component: Component) => boolean;
  /** A node whose turn for a place it is before this one's. */
  before: (component: Component) => string | undefined;
}

/** States in which an etcd member serves and nobody works on it. */
const CALM: readonly ComponentState[] = ['detected', 'pending', 'waiting-for-permit', 'verified', 'rolled-back'];
/** States in which somebody works on a component, whoever remembers the permit. */
const DISTURBED: readonly ComponentState[] = ['applying', 'verifying'];

/** Components of every node, of which a share is changed at once. */
export const SHARED: readonly Component[] = ['kubelet', 'kube-proxy'];

/** True when a wish is subject to the share of kubelets, and takes a place in it: what restarts nothing or mends does not wait. */
export function needsPlace(wish: Pick<PermitWish, 'undo' | 'live'>): boolean {
  return !wish.undo && !wish.live;
}

/** Why the wish cannot be granted now, as a sentence; undefined when it can. */
export function whyNot(situation: Situation): string | undefined {
  for (const component of situation.wish.components) {
    const hindrance = RULES[component](situation);
    if (hindrance !== undefined) return hindrance;
  }
  return undefined;
}

/** The compiler sees to it that every component has its rule. */
const RULES: Record<Component, (situation: Situation) => string | undefined> = {
  /** One member at a time, and only while all others are well: else a quorum could be lost. */
  etcd(situation) {
    const holder = holderOf('etcd', situation);
    if (holder !== undefined || situation.wish.undo) return holder;
    const others = elsewhere('etcd', situation);
    const away = others.find((row) => !row.online);
    if (away !== undefined) return `etcd on ${away.node} is not heard of; its agent has to be connected first`;
    const unwell = others.find((row) => !CALM.includes(row.state));
    return (
      unwell && `etcd on ${unwell.node} is ${unwell.state}; one etcd member is changed at a time, the others being well`
    );
  },

  'kube-apiserver': (situation) => oneAtATime('kube-apiserver', situation),
  'kube-controller-manager': (situation) => oneAtATime('kube-controller-manager', situation),
  'kube-scheduler': (situation) => oneAtATime('kube-scheduler', situation),
  kubelet: (situation) => shareOf('kubelet', situation),
  'kube-proxy': (situation) => shareOf('kube-proxy', situation),
  /** Nothing runs. */
  admin: () => undefined,
};

/**
 * For components of which the cluster needs one that answers. A permit stands in the way as long as it is renewed, however old it
 * is, and so does a component whose node says that it is being changed, permit or not: a second one that is away is worse than a
 * node that waits. Only control planes run these.
 */
function oneAtATime(component: Component, situation: Situation): string | undefined {
  const holder = holderOf(component, situation);
  if (holder !== undefined || situation.wish.undo) return holder;
  const busy = elsewhere(component, situation).find((row) => DISTURBED.includes(row.state));
  return busy && `${component} on ${busy.node} is ${busy.state}; one is changed at a time`;
}

/**
 * For components of every node: a share of them, one at least. A node that died while it was changed holds up no other, but for
 * the time that agents need to come back after a start of the server: it knows then from their last reports alone who is being changed. Nobody has a place without a permit, or longer than the greatest age of one, whatever it says of itself. What a hostile node can
 * still do: ask like the others and hold a place until that age, then wait for its turn; operators are warned of it.
 */
function shareOf(component: Component, situation: Situation): string | undefined {
  if (!needsPlace(situation.wish)) return undefined;
  const count = situation.components.filter((row) => row.component === component).length;
  const most = Math.max(1, Math.floor(situation.kubeletShare * count));
  const holding = situation.others.filter((permit) => permit.components.includes(component));
  const saying = elsewhere(component, situation).filter(
    (row) => (row.online || situation.mayComeBack(row.node, component)) && DISTURBED.includes(row.state),
  );
  const nodes = [...holding, ...saying].map(({ node }) => node);
  const busy = new Set(nodes.filter((node) => situation.hasPlace(node, component)));
  const next = situation.before(component);
  if (busy.size < most) {
    return next && `${next} waits for its turn, ${situation.node} had one; at most ${most} ${component}s at once`;
  }
  return `${busy.size} of ${count} ${component}s are being changed (${[...busy].sort().slice(0, 5).join(', ')}); at most ${most} at once`;
}

function holderOf(component: Component, { others }: Situation): string | undefined {
  const holder = others.find((permit) => permit.components.includes(component));
  return holder && `${holder.node} holds the permit for ${component}`;
}

function elsewhere(component: Component, { components, node }: Situation): FleetComponent[] {
  return components.filter((row) => row.component === component && row.node !== node);
}
