/** A kubelet that runs as a systemd unit. */
import type { DetectedKubelet } from './detected.ts';
import { kubeletDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { type KubeletSettings, kubeletSettings } from './kubelet-config.ts';
import { readKubeletDropIns } from './kubelet-drop-ins.ts';
import { effectivePlaceOf, loadProcess, type ProcessDeps, placeOf, processVersion } from './load-process.ts';
import { readNamedFile, readNamedKubeconfig } from './named-file.ts';
import { NotUnderstood } from './not-understood.ts';
import { refuseLink } from './refuse-link.ts';

/**
 * Finds the kubelet.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it, its configuration or its kubeconfig is written in a way that this program cannot follow
 */
export async function detectKubelet(deps: ProcessDeps, signal: AbortSignal): Promise<DetectedKubelet | undefined> {
  const process = await loadProcess(deps, 'kubelet', signal);
  if (process === undefined) return undefined;
  const place = placeOf(process);
  const flags = flagValues(parseFlags(process.command, kubeletDialect, place));
  const named = (name: string) => lastFlag(flags, name) ?? '';
  const kubeconfig = await readNamedKubeconfig(deps.layout, process, '--kubeconfig', named('kubeconfig'));
  if (kubeconfig === undefined) {
    throw new NotUnderstood('kubelet runs without --kubeconfig and belongs to no cluster', place);
  }
  const config = await readNamedFile(deps.layout, process, '--config', named('config'));
  const folder = named('config-dir');
  if (folder !== '' && !folder.startsWith('/')) {
    throw new NotUnderstood(`--config-dir=${folder} is no absolute path: write it out`, place);
  }
  // a folder of configurations gets a file of ours, and this one stays
  if (config !== undefined && folder === '') await refuseLink(config.path, 'name that in --config');
  const detected: DetectedKubelet = {
    component: 'kubelet',
    process,
    version: await processVersion(deps, process, signal),
    flags,
    effectiveFlags: flagValues(parseFlags(process.effectiveCommand, kubeletDialect, effectivePlaceOf(process))),
    config,
    ...(await readKubeletDropIns(deps.layout, folder)),
    kubeconfig,
    nodeName: (named('hostname-override') || deps.hostname).trim().toLowerCase(),
  };
  effectiveKubeletSettings(detected);
  return detected;
}

/**
 * What its configuration says now, with everything that overrides it but the flags.
 *
 * @throws NotUnderstood as {@link kubeletSettings}
 */
export function effectiveKubeletSettings({ config, configDropIns, configDropIn }: DetectedKubelet): KubeletSettings {
  // no file after ours sets a key of ours
  return kubeletSettings([config, ...configDropIns, configDropIn].filter((file) => file !== undefined));
}

/** Folder of static pods that it reads; undefined when it reads none. */
export function staticPodFolder(kubelet: DetectedKubelet): string | undefined {
  return (
    lastFlag(kubelet.effectiveFlags, 'pod-manifest-path') ||
    effectiveKubeletSettings(kubelet).staticPodPath ||
    undefined
  );
}
