/** What tests of permits are made of. */
import { create } from '@bufbuild/protobuf';
import { type Component, type ComponentState, componentStates, components } from '../../common/names/names.ts';
import { ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { PermitWish } from './coordinator.ts';

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
