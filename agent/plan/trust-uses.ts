/** Which roots a component trusts now, and where they stand. */
import type { Authority } from '../../common/names/names.ts';
import type { Detected, DetectedApiserver, DetectedEtcd, DetectedKubelet } from '../detect/detected.ts';
import { clientCaOf } from './edit-kubelet-config.ts';
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
 * @throws AppError invalid-request for a kubelet's configuration or kubeconfig that cannot be read
 */
export function trustUses(detected: Detected): TrustUse[] {
  switch (detected.component) {
    case 'etcd':
      return usesOfEtcd(detected);
    case 'kube-apiserver':
      return usesOfApiserver(detected);
    case 'kubelet':
      return usesOfKubelet(detected);
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

function usesOfKubelet({ effectiveFlags, config, kubeconfig }: DetectedKubelet): TrustUse[] {
  const clientCa = effectiveFlags.get('client-ca-file')?.at(-1) ?? (config && clientCaOf(config.text));
  const roots = rootsOfKubeconfig(kubeconfig.text, kubeconfig.path);
  return [
    ...use('kubernetes', 'client-ca-file', clientCa),
    ...(roots === undefined ? [] : [{ authority: 'kubernetes' as const, setting: 'certificate-authority', roots }]),
  ];
}

function use(authority: Authority, setting: string, path: string | undefined): TrustUse[] {
  return path === undefined || path === '' ? [] : [{ authority, setting, roots: { path } }];
}
