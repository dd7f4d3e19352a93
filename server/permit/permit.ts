/** What is asked for, and what is granted. */
import type { Component } from '../../common/names/names.ts';

/** A permit that is held. */
export interface HeldPermit {
  id: string;
  node: string;
  components: Component[];
  changeId: string;
  /** When it was granted first, milliseconds since the epoch, for people; neither a renewal nor a restart of the server changes it. */
  sinceMs: number;
  /** How long ago that is, in milliseconds, whatever the wall clock says. */
  ageMs: number;
  /** True when it takes a place in the share of kubelets. */
  inShare: boolean;
  /** Milliseconds since the epoch, for people: it ends by the monotonic clock. */
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
  /**
   * Restarts nothing; goes even while the rollout is paused or the share of kubelets is taken, and takes no place in it, so that no
   * certificate ends because of others.
   */
  live: boolean;
}
