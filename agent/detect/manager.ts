/** kube-controller-manager and kube-scheduler, as systemd units or static pods. */
import { certificateSettings, kubeconfigFlags } from './certificate-settings.ts';
import { configuredKubeconfig } from './component-config.ts';
import type { DetectedManager, DetectedPod, DetectedUnit, SourceFile } from './detected.ts';
import { apiserverDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { refuseHiddenPaths } from './hidden-paths.ts';
import { effectivePlaceOf, loadProcess, type ProcessDeps, placeOf, processVersion } from './load-process.ts';
import { readNamedFile, readNamedKubeconfig } from './named-file.ts';
import { NotUnderstood } from './not-understood.ts';
import { defaultPair } from './served-paths.ts';

type Flags = ReadonlyMap<string, readonly string[]>;

/**
 * Finds one of the two.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it, its configuration or a kubeconfig is written in a way that this program cannot follow,
 *   and when it has no kubeconfig at all
 */
export async function detectManager(
  component: DetectedManager['component'],
  deps: ProcessDeps,
  signal: AbortSignal,
): Promise<DetectedManager | undefined> {
  const process = await loadProcess(deps, component, signal);
  if (process === undefined) return undefined;
  const flags = flagValues(parseFlags(process.command, apiserverDialect, placeOf(process)));
  const config =
    component === 'kube-scheduler'
      ? await readNamedFile(deps.layout, process, '--config', lastFlag(flags, 'config') ?? '')
      : undefined;
  const kubeconfigs = await readKubeconfigs(component, deps, process, flags, config);
  refuseHiddenPaths(process, [
    ...certificateSettings[component].map((name) => ({ by: `--${name}`, path: lastFlag(flags, name) ?? '' })),
    { by: '--cert-dir', path: defaultPair(component, flags)?.path ?? '', mayBeMade: true },
  ]);
  return {
    component,
    process,
    version: await processVersion(deps, process, signal),
    flags,
    effectiveFlags: flagValues(parseFlags(process.effectiveCommand, apiserverDialect, effectivePlaceOf(process))),
    kubeconfigs,
    ...(config === undefined ? {} : { config }),
  };
}

async function readKubeconfigs(
  component: DetectedManager['component'],
  { layout }: ProcessDeps,
  process: DetectedUnit | DetectedPod,
  flags: Flags,
  config: SourceFile | undefined,
): Promise<SourceFile[]> {
  const named = kubeconfigFlags.map((flag) => ({ by: `--${flag}`, path: lastFlag(flags, flag) ?? '' }));
  let own = named[0]?.path ?? '';
  if (config !== undefined) {
    // with --config the scheduler takes no notice of --kubeconfig
    own = configuredKubeconfig(config, 'KubeSchedulerConfiguration');
    named.unshift({ by: 'clientConnection.kubeconfig of --config', path: own });
  }
  if (own === '') {
    throw new NotUnderstood(
      `${component} runs without a kubeconfig, so it has no certificate: give it one`,
      placeOf(process),
    );
  }
  const files = new Map<string, SourceFile>();
  for (const { by, path } of named) {
    const file = await readNamedKubeconfig(layout, process, by, path);
    if (file !== undefined) files.set(file.path, file);
  }
  return [...files.values()];
}
