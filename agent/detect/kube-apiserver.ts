/** A kube-apiserver, as a systemd unit or a static pod. */
import { certificateSettings } from './certificate-settings.ts';
import type { DetectedApiserver } from './detected.ts';
import { apiserverDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { effectivePlaceOf, loadProcess, type ProcessDeps, placeOf, processVersion } from './load-process.ts';
import { defaultPair } from './served-paths.ts';

/**
 * Finds the API server.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it is configured in a way that this program cannot follow
 */
export async function detectApiserver(deps: ProcessDeps, signal: AbortSignal): Promise<DetectedApiserver | undefined> {
  const process = await loadProcess(deps, 'kube-apiserver', signal);
  if (process === undefined) return undefined;
  const flags = flagValues(parseFlags(process.command, apiserverDialect, placeOf(process)));
  refuseHiddenPaths(process, [
    ...certificateSettings['kube-apiserver'].map((name) => ({ by: `--${name}`, path: lastFlag(flags, name) ?? '' })),
    { by: '--cert-dir', path: defaultPair('kube-apiserver', flags)?.path ?? '', mayBeMade: true },
  ]);
  return {
    component: 'kube-apiserver',
    process,
    version: await processVersion(deps, process, signal),
    flags,
    effectiveFlags: flagValues(parseFlags(process.effectiveCommand, apiserverDialect, effectivePlaceOf(process))),
  };
}
