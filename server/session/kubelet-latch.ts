/**
 * Whether API servers shall verify kubelets. It is decided once and stays: a kubelet that is renewed, or a node that joins,
 * must not make every API server take the flag back and restart twice. The decision is an event, so that it survives.
 */
import { recordEvent } from '../events/record-event.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import type { Store } from '../store/store.ts';
import { allKubeletsVerified } from './settings.ts';

const KIND = 'settings.kubelets-verified';

/** How it is decided: by what the fleet reports, or by the operator. */
export type VerifyKubelets = 'auto' | 'always' | 'never';

/** The decision. */
export interface KubeletLatch {
  /** What holds now. */
  readonly value: boolean;
  /** Looks at the fleet, and decides when the time has come. */
  update(components: readonly FleetComponent[]): Promise<void>;
}

/** Reads what was decided before. */
export async function loadKubeletLatch(store: Store, mode: VerifyKubelets): Promise<KubeletLatch> {
  const { rows } = await store.listEvents({ kind: KIND }, { size: 1, after: undefined });
  let decided = rows.length > 0;
  return {
    get value() {
      return mode === 'always' || (mode === 'auto' && decided);
    },
    async update(components) {
      if (decided || !allKubeletsVerified(components)) return;
      decided = true;
      await recordEvent(store, {
        kind: KIND,
        message: 'every kubelet serves a certificate of ours; API servers verify them',
      });
    },
  };
}
