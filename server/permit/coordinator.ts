/**
 * Who may disturb which component now. Permits live in memory and end by themselves; every decision becomes an event. That one
 * was granted is remembered on disk: a failure of the change counts whenever its report comes, and nothing counts without.
 */
import { randomUUID } from 'node:crypto';
import { formatDuration } from '../../common/config/duration.ts';
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { recordEvent } from '../events/record-event.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { PermitGrant, Store } from '../store/store.ts';
import { Grants, LATELY_MS } from './grants.ts';
import type { HeldPermit, PermitWish } from './permit.ts';
import { needsPlace, SHARED, whyNot } from './rules.ts';
import { Turns } from './turns.ts';

/** A permit in memory. */
interface Lease extends Omit<HeldPermit, 'ageMs' | 'expiresAtMs'> {
  /** When it ends unless it is renewed, by the monotonic clock. */
  endsMs: number;
}

/** What the coordinator needs. */
export interface CoordinatorDeps {
  store: Store;
  clock: Clock;
  /** How long a permit lives unless renewed. */
  ttlMs: number;
  /** How old a permit may become before it warns and gives its place in the share of kubelets free. */
  maxAgeMs: number;
  /** Part of the kubelets, 0 to 1, that may be disturbed at once; one always may. */
  kubeletShare: number;
  /** Components of the fleet as they stand. */
  components: () => FleetComponent[];
  /** What the store holds at the start. */
  grants: readonly PermitGrant[];
}

/** Grants, renews, takes back. */
export interface Coordinator {
  /**
   * Grants or renews. Rejects 'unavailable' with a delay while somebody or something is in the way, 'policy-refused'
   * while the rollout is paused, 'invalid-request' for an empty wish.
   */
  acquire(node: string, wish: PermitWish): Promise<HeldPermit>;
  /** Renews by heartbeat; after a restart of the server takes up what the node holds, if nothing is in the way. */
  renew(node: string, permitId: string): Promise<void>;
  /** Gives back; unknown permits, and those of others, are ignored. */
  release(node: string, permitId: string): Promise<void>;
  /** The permit, when this node holds it and it covers the component. */
  held(node: string, permitId: string, component: Component): HeldPermit | undefined;
  /**
   * True when a failure of the component, which was reported just now, stops the rollout: its node holds a permit for it, or got
   * one in the last day, released, expired or not, since the report may come late. Each permit stops it once. What a hostile node
   * can still do: ask for a permit for a component of its own role and call the change a failure, once a permit; operators are
   * warned of it.
   */
  stopsRollout(node: string, component: Component): Promise<boolean>;
  /** True for a permit that is not known and that a former run of this server may have given: the holder's heartbeat tells. */
  mayComeBack(permitId: string): boolean;
  /** All that are held. */
  list(): HeldPermit[];
  /** Ends those whose time is over, and tells of those that are too old. */
  expire(): Promise<void>;
}

/** Agents need this long to come back after a restart of the server. */
const COME_BACK_MS = 60_000;

/** Makes the coordinator of a fleet. */
export function createCoordinator(deps: CoordinatorDeps): Coordinator {
  const { clock, store } = deps;
  const grants = new Grants(store, clock, deps.grants);
  const turns = new Turns(clock, 2 * deps.maxAgeMs); // whoever held a place to the end gives as much to others
  const startedMs = clock.monotonicMs();
  const former = new Set(deps.grants.map(({ permitId }) => permitId)); // of runs before
  const permits = new Map<string, Lease>(); // by node: one each
  const ended = new Set<string>(); // since the start; an ended permit never comes back
  const overdue = new Set<string>(); // permits whose age was told
  const refused = new Map<string, string>(); // by node: what it was last told, so that waiting makes one event

  const event = (kind: string, permit: Pick<HeldPermit, 'node' | 'components'>, message: string, reason = '') =>
    recordEvent(store, { kind, actor: `node/${permit.node}`, node: permit.node, reason, message });

  async function expire(): Promise<void> {
    const over = [...permits.values()].filter((permit) => !isGood(permit));
    for (const permit of over) end(permit);
    for (const permit of over) {
      await event('permit.expired', permit, `the permit for ${namesOf(permit)} was not renewed in time`);
    }
    const old = [...permits.values()].filter((permit) => isOld(grants.ageMs(permit)) && !overdue.has(permit.id));
    for (const permit of old) {
      overdue.add(permit.id);
      await event('permit.overdue', permit, overdueText(permit, deps.maxAgeMs));
    }
  }

  const isOld = (ageMs: number) => ageMs >= deps.maxAgeMs;
  const isGood = ({ endsMs }: Lease) => endsMs > clock.monotonicMs();
  const restMs = ({ endsMs }: Lease) => endsMs - clock.monotonicMs();

  function shown({ endsMs, ...permit }: Lease): HeldPermit {
    return { ...permit, ageMs: grants.ageMs(permit), expiresAtMs: clock.nowMs() + endsMs - clock.monotonicMs() };
  }

  function hasPlace(node: string, component: Component): boolean {
    const grant = grants.get(node, component);
    return grant?.inShare === true && !isOld(grants.ageMs({ node, sinceMs: grant.grantedAtMs }));
  }

  function end(permit: Lease): void {
    permits.delete(permit.node);
    overdue.delete(permit.id);
    ended.add(permit.id);
  }

  function grant(node: string, wish: PermitWish, id: string): Lease {
    const { components, changeId } = wish;
    const before = permits.get(node) ?? grants.of(node, id);
    const inShare = before?.inShare === true || needsPlace(wish);
    const sinceMs = before?.sinceMs ?? clock.nowMs();
    const permit = { id, node, components, changeId, sinceMs, inShare, endsMs: clock.monotonicMs() + deps.ttlMs };
    permits.set(node, permit);
    refused.delete(node);
    return permit;
  }

  /** A permit that could not be written down is none. */
  async function remember(permit: Lease): Promise<void> {
    try {
      await grants.note(permit);
    } catch (error) {
      if (permits.get(permit.node) === permit) end(permit);
      throw error;
    }
  }

  async function refuse(node: string, wish: PermitWish, error: AppError): Promise<never> {
    if (refused.get(node) !== error.message) {
      refused.set(node, error.message);
      await event('permit.refused', { node, components: wish.components }, error.message, error.reason);
    }
    throw error;
  }

  /** Only a permit that a former run of this server gave can be unknown and yet good, and only so long. */
  function mayComeBack(permitId: string): boolean {
    return permitId !== '' && !ended.has(permitId) && clock.monotonicMs() <= startedMs + deps.ttlMs + COME_BACK_MS;
  }

  function mayNodeComeBack(node: string, component: Component): boolean {
    const permitId = grants.get(node, component)?.permitId ?? '';
    return former.has(permitId) && mayComeBack(permitId);
  }

  return {
    async acquire(node, wish) {
      if (wish.components.length === 0) throw new AppError('invalid-request', 'a permit is for one component at least');
      await expire();
      const { paused, reason, leftOut } = await store.getRollout();
      // From here to the grant nothing waits, so that two wishes never see the same free place.
      const own = permits.get(node);
      const same =
        own !== undefined && (own.id === wish.permitId || (own.changeId === wish.changeId && own.changeId !== ''));
      if (own !== undefined && !same && !wish.undo) {
        const text = `this node holds a permit for change ${own.changeId} already; release it first`;
        return refuse(node, wish, new AppError('unavailable', text, { retryAfterMs: restMs(own) }));
      }
      const back = own === undefined && mayComeBack(wish.permitId);
      const isOut = leftOut.includes(node);
      if ((paused || isOut) && !wish.undo && !wish.live && !same && !back) {
        const out = `${node} is left out of the rollout; "kube-mtls rollout resume --let-in ${node}" ends that`;
        const text = isOut ? out : `the rollout is paused: ${reason}; resume it with "kube-mtls rollout resume"`;
        return refuse(node, wish, new AppError('policy-refused', text));
      }
      const others = [...permits.values()].filter((permit) => permit.node !== node);
      const components = deps.components();
      const hindrance = whyNot({
        ...{ node, wish, others, components, kubeletShare: deps.kubeletShare },
        hasPlace: (other, component) => !leftOut.includes(other) && hasPlace(other, component),
        mayComeBack: mayNodeComeBack,
        before: (component) => turns.before(node, component),
      });
      if (hindrance !== undefined && !(same && covers(own, wish))) {
        // Many that wait must not drown the server: the larger the fleet, the slower they ask.
        const retryAfterMs = Math.max(2000, 20 * components.length);
        const forPlace = needsPlace(wish) && wish.components.every((component) => SHARED.includes(component));
        if (forPlace) turns.waits(node, wish.components, retryAfterMs);
        return refuse(node, wish, new AppError('unavailable', hindrance, { retryAfterMs }));
      }
      const renewed = same ? { ...wish, components: [...new Set([...own.components, ...wish.components])] } : wish;
      const permit = grant(node, renewed, same ? own.id : back ? wish.permitId : randomUUID());
      if (own !== undefined && !same) ended.add(own.id);
      if (needsPlace(wish) && !same) turns.began(node, wish.components);
      await remember(permit);
      if (!same) await event('permit.granted', permit, `may disturb ${namesOf(permit)}: ${wish.reason}`);
      return shown(permit);
    },

    async renew(node, permitId) {
      await expire();
      const own = permits.get(node);
      if (own?.id === permitId) own.endsMs = clock.monotonicMs() + deps.ttlMs;
      if (own !== undefined || !mayComeBack(permitId)) return;
      // The components are not known from a heartbeat: those that the node said it was changing.
      const changing = deps.components().filter((row) => row.node === node && isDisturbed(row));
      const components = changing.map((row) => row.component);
      const wish = { permitId, components, reason: '', changeId: '', undo: true, live: false };
      const others = [...permits.values()];
      const before = () => undefined;
      const situation = {
        node,
        wish,
        others,
        components: [],
        kubeletShare: 1,
        hasPlace,
        mayComeBack: mayNodeComeBack,
        before,
      };
      const hindrance = whyNot(situation);
      if (changing.length === 0 || hindrance !== undefined) return;
      const permit = grant(node, { ...wish, undo: grants.of(node, permitId)?.inShare === false }, permitId);
      await remember(permit);
      await event('permit.granted', permit, `taken up after a restart of the server: ${namesOf(permit)}`);
    },

    async release(node, permitId) {
      const own = permits.get(node);
      if (own === undefined || own.id !== permitId) return;
      end(own);
      await event('permit.released', own, `${namesOf(own)} may be disturbed elsewhere again`);
    },

    held(node, permitId, component) {
      const own = permits.get(node);
      if (own === undefined || own.id !== permitId || !isGood(own)) return undefined;
      return own.components.includes(component) ? shown(own) : undefined;
    },

    async stopsRollout(node, component) {
      const grant = grants.get(node, component);
      if (grant === undefined || grant.stopped) return false;
      const holds = permits.get(node)?.id === grant.permitId;
      if (!holds && grants.ageMs({ node, sinceMs: grant.grantedAtMs }) > LATELY_MS) return false;
      await grants.noteStop(grant);
      return true;
    },

    mayComeBack: (permitId) => [...permits.values()].every(({ id }) => id !== permitId) && mayComeBack(permitId),

    list: () => [...permits.values()].filter(isGood).map(shown),
    expire,
  };
}

/** A permit to restart nothing is none to restart. */
function covers(permit: Pick<HeldPermit, 'components' | 'inShare'>, wish: PermitWish): boolean {
  const known = wish.components.every((component) => permit.components.includes(component));
  return known && (permit.inShare || !needsPlace(wish));
}

function overdueText(permit: Pick<HeldPermit, 'components'>, maxAgeMs: number): string {
  const text = `the permit for ${namesOf(permit)} is held for ${formatDuration(maxAgeMs)} and more`;
  return `${text}: other kubelets and kube-proxies do not wait for it any longer, everything else does`;
}

function isDisturbed(row: FleetComponent): boolean {
  return row.state === 'applying' || row.state === 'verifying';
}

function namesOf(permit: Pick<HeldPermit, 'components'>): string {
  return permit.components.join(', ');
}
