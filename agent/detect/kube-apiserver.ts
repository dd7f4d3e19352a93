/** A kube-apiserver that runs as a systemd unit. */
import type { DetectedApiserver } from './detected.ts';
import { apiserverDialect } from './flag-dialects.ts';
import { flagValues, parseFlags } from './flags.ts';
import { loadUnit, programOf, type UnitDeps } from './unit.ts';
import { programVersion } from './version.ts';

/**
 * Finds the API server.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it is configured in a way that this program cannot follow
 */
export async function detectApiserver(
  deps: UnitDeps,
  unitName: string,
  signal: AbortSignal,
): Promise<DetectedApiserver | undefined> {
  const unit = await loadUnit(deps, unitName, 'kube-apiserver', signal);
  if (unit === undefined) return undefined;
  const place = { path: unit.files[0]?.path ?? '' };
  return {
    component: 'kube-apiserver',
    unit,
    version: await programVersion(deps.run, programOf(unit.command), signal),
    flags: flagValues(parseFlags(unit.command, apiserverDialect, place)),
    effectiveFlags: flagValues(parseFlags(unit.effectiveCommand, apiserverDialect, { path: unit.dropInPath })),
  };
}
