/** Named points at which a crash test may kill the agent. */
import { existsSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layout } from '../layout.ts';

/** Every point, in the order in which a change meets them; those of the undo follow. */
export const CHECKPOINTS = [
  'journal-begun',
  'before-copied',
  'version-written',
  'staged',
  'permitted',
  'switching',
  'link-switched',
  'file-written',
  'switched',
  'nudge-linked',
  'nudge-moved',
  'nudged',
  'reloaded',
  'dependant-stopped',
  'restart-begun',
  'member-updated',
  'manifest-written',
  'unit-restarted',
  'verifying',
  'kept',
  'old-versions-removed',
  'staging-removed',
  'discarded',
  'undoing',
  'file-restored',
  'link-restored',
  'undo-nudge-linked',
  'undo-nudge-moved',
  'undo-nudged',
  'undo-reloaded',
  'undo-dependant-stopped',
  'member-restored',
  'unit-restored',
  'version-removed',
  'undone',
] as const;

/** Name of a point. */
export type Checkpoint = (typeof CHECKPOINTS)[number];

/**
 * The checkpoint of production: does nothing, unless KUBE_MTLS_CRASH_AT names the point and root allowed one crash by making
 * the file allow-crash-tests beside the control socket (/run/kube-mtls-agent, gone after a boot). That file is used up
 * by the crash, so that the agent can recover with the same environment.
 *
 * @param kill - ends the process at once; by default SIGKILL to itself
 */
export function createCheckpoint(
  layout: Layout,
  environment: NodeJS.ProcessEnv = process.env,
  kill: () => void = () => process.kill(process.pid, 'SIGKILL'),
): (name: Checkpoint) => Promise<void> {
  const crashAt = environment.KUBE_MTLS_CRASH_AT;
  const allowFile = join(dirname(layout.controlSocket), 'allow-crash-tests');
  return async (name) => {
    if (name !== crashAt || !existsSync(allowFile)) return;
    rmSync(allowFile);
    kill();
  };
}
