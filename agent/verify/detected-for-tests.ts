/** Components as detection would find them, for tests. */
import type {
  DetectedAdmin,
  DetectedApiserver,
  DetectedEtcd,
  DetectedKubelet,
  DetectedManager,
  DetectedProxy,
  DetectedUnit,
  SourceFile,
} from '../detect/detected.ts';

/** An etcd member with these settings, by flag name. */
export function detectedEtcd(settings: Record<string, string>): DetectedEtcd {
  const map = new Map(
    Object.entries(settings).map(([name, value]) => [name, { value, from: 'environment' as const }] as const),
  );
  return {
    component: 'etcd',
    process: unitOf('etcd.service'),
    version: '3.4.23',
    settings: map,
    effectiveSettings: map,
    configFile: undefined,
    environmentFile: undefined,
    environmentFilePath: '/etc/kube-mtls/etcd.env',
  };
}

/** An API server with these flags. */
export function detectedApiserver(flags: Record<string, string>): DetectedApiserver {
  const map = flagsOf(flags);
  return {
    component: 'kube-apiserver',
    process: unitOf('kube-apiserver.service'),
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
  const map = flagsOf(texts.flags ?? {});
  return {
    component: 'kubelet',
    process: unitOf('kubelet.service'),
    version: '1.20.2',
    flags: map,
    effectiveFlags: map,
    config: texts.config === undefined ? undefined : fileOf('/var/lib/kubelet/config.yaml', texts.config),
    configDropIns: [],
    configDropInPath: undefined,
    configDropIn: undefined,
    kubeconfig: fileOf(texts.kubeconfigPath ?? '/etc/kubernetes/kubelet.conf', texts.kubeconfig ?? ''),
    nodeName: 'w1',
  };
}

/** A controller manager or a scheduler with these flags, whose kubeconfigs have these paths and texts. */
export function detectedManager(
  component: DetectedManager['component'],
  flags: Record<string, string>,
  kubeconfigs: Record<string, string> = {},
): DetectedManager {
  const map = flagsOf(flags);
  return {
    component,
    process: unitOf(`${component}.service`),
    version: '1.20.2',
    flags: map,
    effectiveFlags: map,
    kubeconfigs: Object.entries(kubeconfigs).map(([path, text]) => fileOf(path, text)),
  };
}

/** A kube-proxy with this kubeconfig. */
export function detectedProxy(path: string, text = ''): DetectedProxy {
  return {
    component: 'kube-proxy',
    process: unitOf('kube-proxy.service'),
    version: '1.20.2',
    flags: new Map(),
    effectiveFlags: new Map(),
    kubeconfig: fileOf(path, text),
  };
}

/** The kubeconfigs of administrators at these paths. */
export function detectedAdmin(paths: { admin?: string; superAdmin?: string }, text = ''): DetectedAdmin {
  const of = (profile: 'admin-client' | 'super-admin-client', path: string | undefined) =>
    path === undefined ? [] : [{ profile, file: fileOf(path, text) }];
  return {
    component: 'admin',
    process: { kind: 'none', name: '', user: 'root', uid: 0, gid: 0, activeState: '' },
    version: '',
    kubeconfigs: [...of('admin-client', paths.admin), ...of('super-admin-client', paths.superAdmin)],
  };
}

function flagsOf(flags: Record<string, string>): Map<string, readonly string[]> {
  return new Map(Object.entries(flags).map(([name, value]) => [name, [value]] as const));
}

function fileOf(path: string, text: string): SourceFile {
  return { path, text, mode: 0o600, uid: 0, gid: 0 };
}

function unitOf(name: string): DetectedUnit {
  return {
    kind: 'unit',
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
