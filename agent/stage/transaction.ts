/** What the rooms of a transaction (stage, apply, restart, undo) need from outside. Built by hand in agent.ts. */
import type { Log } from '../../common/log/log.ts';
import type { RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { Layout } from '../layout.ts';
import type { MemberUpdate } from '../plan/change.ts';
import type { Checkpoint } from './checkpoints.ts';

/** Towards the state after the change, or back to the one before. */
export type Direction = 'forward' | 'back';

/** Dependencies of the transaction. */
export interface TransactionDeps {
  layout: Layout;
  run: RunCommand;
  clock: Clock;
  log: Log;
  /** Called after each durable step; see checkpoints.ts. */
  checkpoint(name: Checkpoint): Promise<void>;
  /**
   * Makes the etcd cluster know the member by its URLs of that direction. Has to be idempotent, to end by itself, and on the
   * way back to try the other members too: this one may be down.
   */
  updateMember(update: MemberUpdate, direction: Direction, signal?: AbortSignal): Promise<void>;
  /** Cursor of the last entry of the systemd journal. */
  currentCursor(signal?: AbortSignal): Promise<string>;
}
