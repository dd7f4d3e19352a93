/** Components as detection would find them, for tests. */
import type { DetectedApiserver, DetectedEtcd, DetectedKubelet, DetectedUnit } from '../detect/detected.ts';

/** An etcd member with these settings, by flag name. */
export function detectedEtcd(settings: Record<string, string>): DetectedEtcd {
  const map = new Map(
    Object.entries(settings).map(([name, value]) => [name, { value, from: 'environment' as const }] as const),
  );
  return {
    component: 'etcd',
    unit: unitOf('etcd.service'),
    version: '3.4.23',
    settings: map,
    effectiveSettings: map,
    environmentFile: undefined,
    environmentFilePath: '/etc/kube-mtls/etcd.env',
  };
}

/** An API server with these flags. */
export function detectedApiserver(flags: Record<string, string>): DetectedApiserver {
  const map = new Map(Object.entries(flags).map(([name, value]) => [name, [value]] as const));
  return {
    component: 'kube-apiserver',
    unit: unitOf('kube-apiserver.service'),
    version: '1.20.2',
    flags: map,
    effectiveFlags: map,
  };
}

/** The kubelet of w1. */
export function detectedKubelet(texts: {
  flags?: Record<string, string>;
  config?: string;
  kubeconfig?: string;
  kubeconfigPath?: string;
}): DetectedKubelet {
  const map = new Map(Object.entries(texts.flags ?? {}).map(([name, value]) => [name, [value]] as const));
  const fileOf = (path: string, text: string) => ({ path, text, mode: 0o600, uid: 0, gid: 0 });
  return {
    component: 'kubelet',
    unit: unitOf('kubelet.service'),
    version: '1.20.2',
    flags: map,
    effectiveFlags: map,
    config: texts.config === undefined ? undefined : fileOf('/var/lib/kubelet/config.yaml', texts.config),
    kubeconfig: fileOf(texts.kubeconfigPath ?? '/etc/kubernetes/kubelet.conf', texts.kubeconfig ?? ''),
    nodeName: 'w1',
  };
}

function unitOf(name: string): DetectedUnit {
  return {
    name,
    files: [],
    command: [],
    environment: new Map(),
    user: 'root',
    uid: 0,
    gid: 0,
    dropInPath: `/etc/systemd/system/${name}.d/50-kube-mtls.conf`,
    dropIn: undefined,
    activeState: 'active',
    effectiveCommand: [],
    effectiveEnvironment: new Map(),
  };
}
