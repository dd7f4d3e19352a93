/** What tests of permits are made of. */
import assert from 'node:assert/strict';
import { after, beforeEach } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type Component, type ComponentState, componentStates, components } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { PermitGrant, Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { type Coordinator, createCoordinator } from './coordinator.ts';
import type { PermitWish } from './permit.ts';

const NODES = ['w1', 'w2', 'w3', 'w4', 'w5'];
export const TTL_MS = 120_000;
export const MAX_AGE_MS = 30 * 60_000;

/** Bounds of a coordinator. */
export const limits = { ttlMs: TTL_MS, maxAgeMs: MAX_AGE_MS, kubeletShare: 0.1 };

/** A wish to restart the component for change c1. */
export function wish(component: Component, fields: Partial<PermitWish> = {}): PermitWish {
  const base = { permitId: '', components: [component], reason: 'new certificates', changeId: 'c1' };
  return { ...base, undo: false, live: false, ...fields };
}

/** A component as its node reports it. */
export function row(node: string, component: Component, state: ComponentState, online = true): FleetComponent {
  const numbers = { component: components.toNumber(component), state: componentStates.toNumber(state) };
  return { node, component, state, online, status: create(ComponentStatusSchema, numbers) };
}

/** A fleet of five workers whose kubelets are to be changed, and the coordinator of its permits; anew for each test of the file. */
export class Workers {
  clock = new FakeClock();
  store: Store = openSqliteStore(':memory:', this.clock);
  fleet: FleetComponent[] = [];
  permits: Coordinator = this.#coordinator([]);

  /** Declares that each test has its own. */
  static forEachTest(): Workers {
    const workers = new Workers();
    beforeEach(() => workers.#begin());
    after(() => workers.store.close());
    return workers;
  }

  async #begin(): Promise<void> {
    await this.store.close();
    this.clock = new FakeClock();
    this.store = openSqliteStore(':memory:', this.clock);
    for (const name of NODES) await this.store.enrol({ node: sampleNode({ name }), useToken: undefined });
    this.fleet = NODES.map((node) => row(node, 'kubelet', 'pending'));
    await this.restart();
  }

  /** Starts the server anew. */
  async restart(): Promise<void> {
    this.permits = this.#coordinator(await this.store.listGrants());
  }

  #coordinator(grants: readonly PermitGrant[]): Coordinator {
    const { store, clock } = this;
    return createCoordinator({ store, clock, ...limits, components: () => this.fleet, grants });
  }

  /** Asserts that a node gets no permit, and why. */
  async refused(node: string, why: RegExp, component: Component = 'kubelet'): Promise<void> {
    await assert.rejects(this.permits.acquire(node, wish(component)), why);
  }

  /** Lets the time pass while the node renews its permit. */
  async beat(node: string, permitId: string, ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= TTL_MS / 2) {
      await this.clock.advance(Math.min(left, TTL_MS / 2));
      await this.permits.renew(node, permitId);
    }
  }

  /** Messages of the events of a kind, the newest first. */
  async events(kind: string): Promise<string[]> {
    const { rows } = await this.store.listEvents({ kind }, { size: 100, after: undefined });
    return rows.map(({ message }) => message);
  }
}
