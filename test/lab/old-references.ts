/** Whether anything of a host still uses the files that its cluster had before it was adopted. */
import { basename } from 'node:path';
import type { Component } from '../../common/names/names.ts';
import type { FileEntry } from './file-table.ts';
import type { Host } from './host.ts';

const PROGRAMS = ['etcd', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'];
/** "--client-ca-file=/etc/kubernetes/pki/ca.crt", "clientCAFile: /var/lib/kubelet/pki/ca.crt". */
const OLD = /^(?:--)?([\w-]+)[=:] ?(?:\/etc\/kubernetes\/pki|\/var\/lib\/kubelet\/pki)\//;
/** Which kube-mtls leaves alone: keys of tokens, and the CA with which the controller manager signs for whoever asks. */
const LEFT_ALONE = /^(?:service-account-|cluster-signing-)/;
/** Of kubeconfigs, by name. */
const OWNERS = new Map<string, Component>([
  ['kubelet.conf', 'kubelet'],
  ['controller-manager.conf', 'kube-controller-manager'],
  ['scheduler.conf', 'kube-scheduler'],
  ['kube-proxy.conf', 'kube-proxy'],
]);
/** They embed what they hold, as kubeadm made them. */
const EMBEDDING = /\/(?:super-)?admin\.conf$/;

/**
 * What still refers to the old files: the running components by their words, and configurations and kubeconfigs by their lines.
 *
 * @param components that run on the host: kubeadm writes kubeconfigs for others too
 */
export async function oldReferences(
  host: Host,
  files: ReadonlyMap<string, FileEntry>,
  components: readonly Component[],
): Promise<string[]> {
  const script = 'for f in /proc/[0-9]*/cmdline; do tr "\\0" "\\n" <"$f" 2>/dev/null || true; echo; done';
  return [...oldWords(await host.sh(script)), ...oldLines(files, components)];
}

/** Words of components, from a text with a word a line and an empty line between programs. */
export function oldWords(commandLines: string): string[] {
  return commandLines.split('\n\n').flatMap((text) => {
    const [program = '', ...words] = text.trim().split('\n');
    const name = basename(program);
    return PROGRAMS.includes(name) ? words.filter(isOld).map((word) => `${name} ${word}`) : [];
  });
}

/** Lines of configurations that name old files, and of kubeconfigs that do not name ours; an administrator's embeds, and may not name any. */
export function oldLines(files: ReadonlyMap<string, FileEntry>, components: readonly Component[]): string[] {
  return [...files.values()].flatMap(({ path, kind, content }) => {
    if (kind === 'configuration') return content.filter(isOld).map((line) => `${path}: ${line}`);
    if (kind !== 'kubeconfig' || isIdle(path, components)) return [];
    const wanted = EMBEDDING.test(path) ? / by .* #[0-9a-f]+$/ : /^[a-z-]+ \/etc\/kube-mtls\/pki\//;
    return content.filter((line) => !wanted.test(line)).map((line) => `${path}: ${line}`);
  });
}

/** True for the kubeconfig of a component that does not run: "kubelet.conf", "scheduler.conf". */
function isIdle(path: string, components: readonly Component[]): boolean {
  const owner = OWNERS.get(basename(path));
  return owner !== undefined && !components.includes(owner);
}

function isOld(reference: string): boolean {
  const name = OLD.exec(reference)?.[1];
  return name !== undefined && !LEFT_ALONE.test(name);
}
