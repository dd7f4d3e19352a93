/** The guard that a serving certificate in use is not replaced by one that its clients do not trust. */
import type { DetectedApiserver, DetectedEtcd, Problem } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { type ServedPath, servedPath } from '../detect/served-paths.ts';
import { effectiveSetting, servesClientsByTls } from './etcd-settings.ts';
import { retiredRootsOf, rootIdentity, rootsIn, rootsOf, unreadableRoots } from './guard-trust.ts';
import type { PlanInput } from './plan-input.ts';
import { isSignedBy } from './served-certificate.ts';
import { servedNow } from './served-now.ts';

const adopt = "start the CA server with --adopt and the folder of the cluster's CAs, so that it goes on with that CA";

/**
 * Compares the issuer of the certificate that is served now with the roots that sign the next one. A component that makes its
 * own certificate is trusted by nobody, and so are kubelets and managers until their clients are told to verify them.
 *
 * @param replaced the settings that will be replaced
 */
export function guardServing(
  detected: DetectedApiserver | DetectedEtcd,
  replaced: readonly string[],
  input: Pick<PlanInput, 'detected' | 'bundles' | 'rotation' | 'layout' | 'trust' | 'nowMs'>,
): Problem[] {
  const authority = detected.component === 'etcd' ? 'etcd' : 'kubernetes';
  const served = detected.component === 'etcd' ? etcdServedPath(detected) : apiserverServedPath(detected);
  if (served === undefined || !replaced.includes(served.setting === 'cert-dir' ? 'tls-cert-file' : served.setting)) {
    return [];
  }
  const { certificate, path, problems } = servedNow(detected.component, served, input);
  // nobody believes what has expired
  if (certificate === undefined || certificate.notAfterMs <= input.nowMs) return problems;
  const { issuer } = certificate;
  const roots = [...rootsOf(input.bundles, authority), ...retiredRootsOf(input, authority)];
  if (roots.some(({ x509 }) => isSignedBy(certificate, x509))) return [];
  const aside = detected.component === 'etcd' ? '' : ', or move this certificate to --tls-sni-cert-key, which stays';
  const message = `clients would be locked out: --${served.setting} serves a certificate of ${issuer}, which is no root of the server's ${authority} CA; ${adopt}${aside}`;
  return [{ component: detected.component, path, message }];
}

/**
 * A problem where an API server goes on verifying kubelets by roots that are none of ours: with certificates of ours it would not
 * reach them any more.
 *
 * @param replaced the flags that will be replaced
 */
export function guardKubeletRoots(
  { component, effectiveFlags }: DetectedApiserver,
  replaced: readonly string[],
  input: Pick<PlanInput, 'trust' | 'bundles'>,
): Problem[] {
  const flag = 'kubelet-certificate-authority';
  const path = lastFlag(effectiveFlags, flag) ?? '';
  if (replaced.includes(flag) || path === '') return [];
  const unreadable = unreadableRoots(path, input);
  if (unreadable !== undefined) {
    const message = `the roots of --${flag} cannot be read (${unreadable}), so it cannot be told whether kubelets would be locked out: repair the file, or take the flag out`;
    return [{ component, path, message }];
  }
  const inUse = rootsIn(path, input);
  const ours = new Set(rootsOf(input.bundles, 'kubernetes').map(rootIdentity));
  if (inUse.some((root) => ours.has(rootIdentity(root)))) return [];
  const message = `kubelets would be locked out: --${flag} holds no root of the server's kubernetes CA; add the server's root to the file, or ${adopt}`;
  return [{ component, path, message }];
}

/** By the settings in force. */
export function apiserverServedPath(apiserver: DetectedApiserver): ServedPath | undefined {
  return servedPath(apiserver, apiserver.effectiveFlags);
}

/** By the settings in force; undefined where clients are served without TLS. */
export function etcdServedPath(etcd: DetectedEtcd): ServedPath | undefined {
  // peers verify each other by roots that are compared already
  const path = effectiveSetting(etcd, 'cert-file');
  const serves = path !== '' && servesClientsByTls(etcd);
  return serves ? { setting: 'cert-file', path, keyPath: '' } : undefined;
}
