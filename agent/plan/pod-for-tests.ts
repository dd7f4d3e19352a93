/** A static pod for tests out of the text of its manifest, as detection reads it, without a node. */
import type { DetectedPod } from '../detect/detected.ts';
import { parseManifest } from '../detect/manifest.ts';
import { mountsOf } from '../detect/pod.ts';
import { expandPodVariables, podVariables } from '../detect/pod-variables.ts';

/** The pod as it runs by its manifest. */
export function podOf(text: string, containerName: string): DetectedPod {
  const path = `/etc/kubernetes/manifests/${containerName}.yaml`;
  const file = { path, text, mode: 0o600, uid: 0, gid: 0 };
  const manifest = parseManifest(file);
  const container = manifest.pod.spec.containers.find(({ name }) => name === containerName);
  if (container === undefined) throw new Error(`no container ${containerName}`);
  const variables = podVariables(container.env ?? []);
  const command = [...(container.command ?? []), ...(container.args ?? [])].map((raw) => {
    const expanded = expandPodVariables(raw, variables);
    return { raw, values: ['text' in expanded ? expanded.text : raw] };
  });
  const environment = new Map([...variables].flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
  return {
    ...{ kind: 'static-pod', name: `${manifest.pod.metadata.name}-cp1`, namespace: 'kube-system', manifest: file },
    ...{ container: containerName, command, effectiveCommand: command, activeState: 'active' },
    ...{ environment, effectiveEnvironment: environment, user: 'root', uid: 0, gid: 0 },
    mounts: mountsOf(manifest, container).filter(({ path: at, hostPath }) => at === hostPath),
  };
}
