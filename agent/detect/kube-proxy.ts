/** A kube-proxy that runs as a systemd unit. kubeadm's is a DaemonSet: nothing of it is on the host. */
import { configuredKubeconfig } from './component-config.ts';
import type { DetectedProxy } from './detected.ts';
import { proxyDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { effectivePlaceOf, loadProcess, type ProcessDeps, placeOf, processVersion } from './load-process.ts';
import { readNamedFile, readNamedKubeconfig } from './named-file.ts';
import { NotUnderstood } from './not-understood.ts';

/**
 * Finds the proxy.
 *
 * @returns undefined when there is none
 * @throws NotUnderstood when it runs as a static pod or without a kubeconfig, or is configured in a way that this program
 *   cannot follow
 */
export async function detectProxy(deps: ProcessDeps, signal: AbortSignal): Promise<DetectedProxy | undefined> {
  const process = await loadProcess(deps, 'kube-proxy', signal);
  if (process === undefined) return undefined;
  const place = placeOf(process);
  if (process.kind === 'static-pod') {
    throw new NotUnderstood('runs kube-proxy as a static pod, which is not understood: only its unit is', place);
  }
  const flags = flagValues(parseFlags(process.command, proxyDialect, place));
  const config = await readNamedFile(deps.layout, process, '--config', lastFlag(flags, 'config') ?? '');
  // with --config all flags that the file has a key for are ignored (cmd/kube-proxy/app/server.go, Complete)
  const named =
    config === undefined
      ? { by: '--kubeconfig', path: lastFlag(flags, 'kubeconfig') ?? '' }
      : { by: 'clientConnection.kubeconfig', path: configuredKubeconfig(config, 'KubeProxyConfiguration') };
  const kubeconfig = await readNamedKubeconfig(deps.layout, process, named.by, named.path);
  if (kubeconfig === undefined) {
    throw new NotUnderstood(
      'kube-proxy runs without a kubeconfig, so it has no certificate: give it one, or set manage: false for it in agent.yaml',
      config === undefined ? place : { path: config.path },
    );
  }
  return {
    component: 'kube-proxy',
    process,
    version: await processVersion(deps, process, signal),
    flags,
    effectiveFlags: flagValues(parseFlags(process.effectiveCommand, proxyDialect, effectivePlaceOf(process))),
    kubeconfig,
    ...(config === undefined ? {} : { config }),
  };
}
