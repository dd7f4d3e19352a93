/** What the components of the fleet are, in memory for decisions, and durable in the store. */
import { equals, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { Component, ComponentState, Role } from '../../common/names/names.ts';
import { componentStates } from '../../common/names/names.ts';
import type { MonotonicClock } from '../../common/time/clock.ts';
import { type ComponentStatus, ComponentStatusSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { roleRuns } from '../policy/role-components.ts';
import type { NodeRecord, Store } from '../store/store.ts';

/** A component on a node, for decisions. */
export interface FleetComponent {
  node: string;
  component: Component;
  state: ComponentState;
  /** True while the node has a session. */
  online: boolean;
  /** How long ago it took up new files without a restart last, in milliseconds; undefined when it never did. */
  liveAgoMs?: number | undefined;
  status: ComponentStatus;
}

/** Statuses by node and component. One server owns them; it reads them once, at its start. */
export class FleetState {
  readonly #store: Store;
  readonly #statuses = new Map<string, Map<Component, ComponentStatus>>();
  readonly #roles = new Map<string, Role>();
  readonly #clock: MonotonicClock;
  /** By node and component, by the monotonic clock. What was taken up before this server started counts as taken up just then. */
  readonly #liveMs = new Map<string, number>();

  private constructor(store: Store, clock: MonotonicClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads what the store holds. */
  static async load(store: Store, clock: MonotonicClock): Promise<FleetState> {
    const state = new FleetState(store, clock);
    for (const node of await store.listNodes()) state.noteNode(node);
    for (const row of await store.listStatuses()) {
      state.#take(row.node, row.component, fromBinary(ComponentStatusSchema, row.status));
    }
    return state;
  }

  /** Takes up what a node is, whenever its record was read. Revoked nodes count for nothing. */
  noteNode(node: NodeRecord): void {
    if (node.revoked) this.#roles.delete(node.name);
    else this.#roles.set(node.name, node.role);
  }

  /** Statuses of a node, whatever its role. */
  statusesOf(node: string): ComponentStatus[] {
    return [...(this.#statuses.get(node)?.values() ?? [])];
  }

  /** Status of one component. */
  get(node: string, component: Component): ComponentStatus | undefined {
    return this.#statuses.get(node)?.get(component);
  }

  /** Keeps a status, durably, unless its node was removed. After a restart of the server every agent says again what is known. */
  async put(node: string, component: Component, status: ComponentStatus): Promise<void> {
    const known = this.get(node, component);
    if (known !== undefined && equals(ComponentStatusSchema, known, status)) return;
    // what this server does not understand it cannot have cut either
    const bytes = toBinary(ComponentStatusSchema, status, { writeUnknownFields: false });
    await this.#store.putStatus(node, component, bytes);
    if (this.#roles.has(node)) this.#take(node, component, status);
    else await this.#store.deleteStatus(node, component); // it was on its way when the node was removed
  }

  /** Forgets the node's components that are not among these, durably; returns them. */
  async keepOnly(node: string, found: readonly Component[]): Promise<Component[]> {
    const gone = [...this.#ofNode(node).keys()].filter((component) => !found.includes(component));
    for (const component of gone) {
      await this.#store.deleteStatus(node, component);
      this.#ofNode(node).delete(component);
    }
    return gone;
  }

  /** How many nodes count. */
  get nodeCount(): number {
    return this.#roles.size;
  }

  /** All components that count, by node. */
  components(isOnline: (node: string) => boolean): FleetComponent[] {
    const rows: FleetComponent[] = [];
    const nowMs = this.#clock.monotonicMs();
    for (const [node, statuses] of this.#statuses) {
      const role = this.#roles.get(node);
      if (role === undefined) continue;
      const online = isOnline(node);
      for (const [component, status] of statuses) {
        const state = componentStates.toWord(status.state) ?? 'detected';
        const liveMs = this.#liveMs.get(`${node} ${component}`);
        const liveAgoMs = liveMs === undefined ? undefined : nowMs - liveMs;
        if (roleRuns(role, component)) rows.push({ node, component, state, online, liveAgoMs, status });
      }
    }
    return rows.sort((a, b) => (a.node < b.node ? -1 : a.node > b.node ? 1 : 0));
  }

  #take(node: string, component: Component, status: ComponentStatus): void {
    const before = this.get(node, component)?.reloads ?? 0;
    if (status.reloads > before) this.#liveMs.set(`${node} ${component}`, this.#clock.monotonicMs());
    this.#ofNode(node).set(component, status);
  }

  #ofNode(node: string): Map<Component, ComponentStatus> {
    const known = this.#statuses.get(node);
    if (known !== undefined) return known;
    const fresh = new Map<Component, ComponentStatus>();
    this.#statuses.set(node, fresh);
    return fresh;
  }
}
