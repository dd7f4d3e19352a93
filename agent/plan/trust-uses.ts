/** Which roots a component trusts now, and where they stand. */
import type { Authority } from '../../common/names/names.ts';
import type {
  Detected,
  DetectedApiserver,
  DetectedEtcd,
  DetectedKubelet,
  DetectedManager,
  SourceFile,
} from '../detect/detected.ts';
import { effectiveKubeletSettings } from '../detect/kubelet.ts';
import { demandsClients, effectiveSetting } from './etcd-settings.ts';
import { anySecure } from './etcd-urls.ts';
import { rootsOfKubeconfig } from './kubeconfig.ts';

/** Roots in use for one purpose. */
export interface TrustUse {
  /** Whose roots they will be. */
  authority: Authority;
  /** Flag or key that names them: "client-ca-file", "certificate-authority". */
  setting: string;
  roots: { path: string } | { pem: string };
}

/**
 * The roots in use; a purpose without roots is not in it.
 *
 * @throws AppError invalid-request for a kubelet's configuration or a kubeconfig that cannot be read
 */
export function trustUses(detected: Detected): TrustUse[] {
  switch (detected.component) {
    case 'etcd':
      return usesOfEtcd(detected);
    case 'kube-apiserver':
      return usesOfApiserver(detected);
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return [...usesOfManager(detected), ...detected.kubeconfigs.flatMap(useOfKubeconfig)];
    case 'kubelet':
      return [...usesOfKubelet(detected), ...useOfKubeconfig(detected.kubeconfig)];
    case 'kube-proxy':
      return useOfKubeconfig(detected.kubeconfig);
    case 'admin':
      return detected.kubeconfigs.flatMap(({ file }) => useOfKubeconfig(file));
  }
}

/** A CA file that etcd ignores, since it listens without TLS, is not in use. */
function usesOfEtcd(etcd: DetectedEtcd): TrustUse[] {
  const peersSpeakTls = ['listen-peer-urls', 'initial-advertise-peer-urls'].some((name) =>
    anySecure(effectiveSetting(etcd, name)),
  );
  const settings = [
    ...(demandsClients(etcd) ? ['trusted-ca-file'] : []),
    ...(peersSpeakTls ? ['peer-trusted-ca-file'] : []),
  ];
  return settings.flatMap((setting) => use('etcd', setting, effectiveSetting(etcd, setting)));
}

function usesOfApiserver({ effectiveFlags }: DetectedApiserver): TrustUse[] {
  const purposes: [Authority, string][] = [
    ['kubernetes', 'client-ca-file'],
    ['kubernetes', 'kubelet-certificate-authority'],
    ['front-proxy', 'requestheader-client-ca-file'],
    ['etcd', 'etcd-cafile'],
  ];
  return purposes.flatMap(([authority, flag]) => use(authority, flag, effectiveFlags.get(flag)?.at(-1)));
}

/** Without --root-ca-file no roots are published to pods; without the others they come from the cluster. */
function usesOfManager({ effectiveFlags }: DetectedManager): TrustUse[] {
  const purposes: [Authority, string][] = [
    ['kubernetes', 'client-ca-file'],
    ['kubernetes', 'root-ca-file'],
    ['front-proxy', 'requestheader-client-ca-file'],
  ];
  return purposes.flatMap(([authority, flag]) => use(authority, flag, effectiveFlags.get(flag)?.at(-1)));
}

function usesOfKubelet(kubelet: DetectedKubelet): TrustUse[] {
  const flag = kubelet.effectiveFlags.get('client-ca-file')?.at(-1);
  return use('kubernetes', 'client-ca-file', flag ?? effectiveKubeletSettings(kubelet).clientCaFile);
}

function useOfKubeconfig({ text, path }: SourceFile): TrustUse[] {
  const roots = rootsOfKubeconfig(text, path);
  return roots === undefined ? [] : [{ authority: 'kubernetes', setting: 'certificate-authority', roots }];
}

function use(authority: Authority, setting: string, path: string | undefined): TrustUse[] {
  return path === undefined || path === '' ? [] : [{ authority, setting, roots: { path } }];
}
