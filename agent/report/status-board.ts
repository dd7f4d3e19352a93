/** What the agent says of each component: the one place that knows, kept over restarts, and heard by the session. */

import type { Authority, Component, ComponentState, Profile } from '../../common/names/names.ts';
import type { CheckOutcome } from '../verify/checks.ts';

/** A certificate in use or planned. */
export interface CertificateInUse {
  profile: Profile;
  serial: string;
  path: string;
  notAfterMs: number;
  /** sha256:HEX of the key that signed it; '' when that is none of the roots in force. */
  issuerPin: string;
}

/** Whom a component trusts for one authority, by the files that it has taken up. */
export interface Trust {
  authority: Authority;
  /** sha256:HEX of each root's key. */
  rootPins: string[];
}

/** What an etcd member is a member of. */
export interface Membership {
  clusterId: string;
  members: string[];
  prepared: boolean;
  enforced: boolean;
  /** True while it trusts no root at all. */
  plaintext: boolean;
}

/** Everything said of one component. */
export interface Status {
  component: Component;
  unit: string;
  version: string;
  state: ComponentState;
  reason: string;
  checks: CheckOutcome[];
  certificates: CertificateInUse[];
  updatedAtMs: number;
  pendingFiles: string[];
  endpoints: string[];
  restarts: number;
  /** How often it took up new files without a restart. */
  reloads: number;
  trust: Trust[];
  etcd: Membership | undefined;
}

/** Called with every status that changed. */
export type StatusListener = (status: Status) => void;

/** The statuses of the node's components. */
export class StatusBoard {
  readonly #statuses = new Map<Component, Status>();
  readonly #listeners = new Set<StatusListener>();
  readonly #nowMs: () => number;

  constructor(nowMs: () => number, known: readonly Status[] = []) {
    this.#nowMs = nowMs;
    for (const status of known) this.#statuses.set(status.component, status);
  }

  /** All statuses, in the order in which they were first set. */
  all(): Status[] {
    return [...this.#statuses.values()];
  }

  get(component: Component): Status | undefined {
    return this.#statuses.get(component);
  }

  /** Changes what is said of a component. What is not given stays; nothing is told when nothing differs. */
  set(component: Component, fields: Partial<Omit<Status, 'component' | 'updatedAtMs'>>): void {
    const before = this.#statuses.get(component) ?? blank(component);
    const after = { ...before, ...fields };
    if (this.#statuses.has(component) && JSON.stringify(after) === JSON.stringify(before)) return;
    const status = { ...after, updatedAtMs: this.#nowMs() };
    this.#statuses.set(component, status);
    for (const listener of this.#listeners) listener(status);
  }

  /** Forgets components that are not on the node any more. */
  keepOnly(components: readonly Component[]): void {
    for (const known of this.#statuses.keys()) if (!components.includes(known)) this.#statuses.delete(known);
  }

  /** Adds a listener; the answer removes it. */
  listen(listener: StatusListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

function blank(component: Component): Status {
  return {
    component,
    unit: '',
    version: '',
    state: 'detected',
    reason: '',
    checks: [],
    certificates: [],
    updatedAtMs: 0,
    pendingFiles: [],
    endpoints: [],
    restarts: 0,
    reloads: 0,
    trust: [],
    etcd: undefined,
  };
}
