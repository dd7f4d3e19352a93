/** Who may disturb which component now. Permits live in memory and end by themselves; every decision becomes an event. */
import { randomUUID } from 'node:crypto';
import { AppError } from '../../common/errors/app-error.ts';
import type { Component } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import { recordEvent } from '../events/record-event.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { Store } from '../store/store.ts';
import { whyNot } from './rules.ts';

/** A permit that is held. */
export interface HeldPermit {
  id: string;
  node: string;
  components: Component[];
  changeId: string;
  expiresAtMs: number;
}

/** A wish to disturb. */
export interface PermitWish {
  /** Permit held already, or ''. */
  permitId: string;
  components: Component[];
  /** For a person. */
  reason: string;
  changeId: string;
  /** Puts back what a change left; goes even while the rollout is paused. */
  undo: boolean;
  /** Restarts nothing; goes even while the rollout is paused, so that no certificate ends because of a pause. */
  live: boolean;
}

/** What the coordinator needs. */
export interface CoordinatorDeps {
  store: Store;
  clock: Clock;
  /** How long a permit lives unless renewed. */
  ttlMs: number;
  /** Part of the kubelets, 0 to 1, that may be disturbed at once; one always may. */
  kubeletShare: number;
  /** Components of the fleet as they stand. */
  components: () => FleetComponent[];
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
  /** True for a permit that is not known and that a former run of this server may have given: the holder's heartbeat tells. */
  mayComeBack(permitId: string): boolean;
  /** All that are held. */
  list(): HeldPermit[];
  /** Ends those whose time is over. */
  expire(): Promise<void>;
}

/** Agents need this long to come back after a restart of the server. */
const COME_BACK_MS = 60_000;

/** Makes the coordinator of a fleet. */
export function createCoordinator(deps: CoordinatorDeps): Coordinator {
  const { clock, store } = deps;
  const startedAtMs = clock.nowMs();
  const permits = new Map<string, HeldPermit>(); // by node: one each
  const ended = new Set<string>(); // since the start; an ended permit never comes back
  const refused = new Map<string, string>(); // by node: what it was last told, so that waiting makes one event

  const event = (kind: string, permit: Pick<HeldPermit, 'node' | 'components'>, message: string, reason = '') =>
    recordEvent(store, { kind, actor: `node/${permit.node}`, node: permit.node, reason, message });

  async function expire(): Promise<void> {
    const over = [...permits.values()].filter((permit) => permit.expiresAtMs <= clock.nowMs());
    for (const permit of over) end(permit);
    for (const permit of over) {
      await event('permit.expired', permit, `the permit for ${namesOf(permit)} was not renewed in time`);
    }
  }

  function end(permit: HeldPermit): void {
    permits.delete(permit.node);
    ended.add(permit.id);
  }

  function grant(node: string, wish: PermitWish, id: string): HeldPermit {
    const { components, changeId } = wish;
    const permit = { id, node, components, changeId, expiresAtMs: clock.nowMs() + deps.ttlMs };
    permits.set(node, permit);
    refused.delete(node);
    return permit;
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
    return permitId !== '' && !ended.has(permitId) && clock.nowMs() <= startedAtMs + deps.ttlMs + COME_BACK_MS;
  }

  return {
    async acquire(node, wish) {
      if (wish.components.length === 0) throw new AppError('invalid-request', 'a permit is for one component at least');
      await expire();
      const { paused, reason } = await store.getRollout();
      // From here to the grant nothing waits, so that two wishes never see the same free place.
      const own = permits.get(node);
      const same =
        own !== undefined && (own.id === wish.permitId || (own.changeId === wish.changeId && own.changeId !== ''));
      if (own !== undefined && !same && !wish.undo) {
        const text = `this node holds a permit for change ${own.changeId} already; release it first`;
        return refuse(node, wish, new AppError('unavailable', text, { retryAfterMs: own.expiresAtMs - clock.nowMs() }));
      }
      const back = own === undefined && mayComeBack(wish.permitId);
      if (paused && !wish.undo && !wish.live && !same && !back) {
        const text = `the rollout is paused: ${reason}; resume it with "kube-mtls rollout resume"`;
        return refuse(node, wish, new AppError('policy-refused', text));
      }
      const others = [...permits.values()].filter((permit) => permit.node !== node);
      const components = deps.components();
      const hindrance = whyNot({ node, wish, others, components, kubeletShare: deps.kubeletShare });
      if (hindrance !== undefined && !(same && covers(own, wish))) {
        // Many that wait must not drown the server: the larger the fleet, the slower they ask.
        const retryAfterMs = Math.max(2000, 20 * components.length);
        return refuse(node, wish, new AppError('unavailable', hindrance, { retryAfterMs }));
      }
      if (own !== undefined && !same) end(own);
      const renewed = same ? { ...wish, components: [...new Set([...own.components, ...wish.components])] } : wish;
      const permit = grant(node, renewed, same ? own.id : back ? wish.permitId : randomUUID());
      if (!same) await event('permit.granted', permit, `may disturb ${namesOf(permit)}: ${wish.reason}`);
      return permit;
    },

    async renew(node, permitId) {
      await expire();
      const own = permits.get(node);
      if (own?.id === permitId) own.expiresAtMs = clock.nowMs() + deps.ttlMs;
      if (own !== undefined || !mayComeBack(permitId)) return;
      // The components are not known from a heartbeat: those that the node said it was changing.
      const changing = deps.components().filter((row) => row.node === node && isDisturbed(row));
      const components = changing.map((row) => row.component);
      const wish = { permitId, components, reason: '', changeId: '', undo: true, live: false };
      const others = [...permits.values()];
      if (changing.length === 0 || whyNot({ node, wish, others, components: [], kubeletShare: 1 }) !== undefined)
        return;
      const permit = grant(node, wish, permitId);
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
      const good = own?.id === permitId && own.expiresAtMs > clock.nowMs() && own.components.includes(component);
      return good ? own : undefined;
    },

    mayComeBack: (permitId) => [...permits.values()].every(({ id }) => id !== permitId) && mayComeBack(permitId),

    list: () => [...permits.values()].filter((permit) => permit.expiresAtMs > clock.nowMs()),
    expire,
  };
}

function covers(permit: HeldPermit, wish: PermitWish): boolean {
  return wish.components.every((component) => permit.components.includes(component));
}

function isDisturbed(row: FleetComponent): boolean {
  return row.state === 'applying' || row.state === 'verifying';
}

function namesOf(permit: Pick<HeldPermit, 'components'>): string {
  return permit.components.join(', ');
}
