/** The guard that a serving certificate in use is not replaced by one that its clients do not trust. */
import type { Authority } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import type { DetectedApiserver, DetectedEtcd, Problem } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { below } from '../detect/source-file.ts';
import { componentFolder } from '../layout.ts';
import { effectiveSetting } from './etcd-settings.ts';
import { anySecure } from './etcd-urls.ts';
import { retiredRootsOf, rootIdentity, rootsIn, rootsOf } from './guard-trust.ts';
import type { PlanInput } from './plan-input.ts';
import { tryParse } from './try-parse.ts';

/** A certificate that clients verify, and by what it is named. */
interface Served {
  authority: Authority;
  setting: string;
  path: string;
}

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
  input: Pick<PlanInput, 'detected' | 'bundles' | 'rotation' | 'layout' | 'nowMs'>,
): Problem[] {
  const served = servedBy(detected);
  if (served === undefined || !replaced.includes(served.setting)) return [];
  const { authority, setting } = served;
  const path = below(input.layout, served.path);
  if (path.startsWith(`${componentFolder(input.layout, detected.component)}/`)) return [];
  const certificate = tryParse(input.detected.certificates.find((found) => found.path === path)?.certificatePem ?? '');
  // what cannot be read cannot be served, and nobody believes what has expired
  if (certificate === undefined || certificate.notAfter.getTime() <= input.nowMs) return [];
  const { issuer, x509 } = certificate;
  // by name and key alone: a root that was renewed with its key signed what it signed before
  const signed = ({ subject, x509: root }: Certificate) => subject === issuer && x509.verify(root.publicKey);
  if ([...rootsOf(input.bundles, authority), ...retiredRootsOf(input, authority)].some(signed)) return [];
  const aside = detected.component === 'etcd' ? '' : ', or move this certificate to --tls-sni-cert-key, which stays';
  const message = `clients would be locked out: --${setting} serves a certificate of ${issuer}, which is no root of the server's ${authority} CA; ${adopt}${aside}`;
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
  const inUse = rootsIn(path, input);
  if (replaced.includes(flag) || inUse.length === 0) return [];
  const ours = new Set(rootsOf(input.bundles, 'kubernetes').map(rootIdentity));
  if (inUse.some((root) => ours.has(rootIdentity(root)))) return [];
  const message = `kubelets would be locked out: --${flag} holds no root of the server's kubernetes CA; add the server's root to the file, or ${adopt}`;
  return [{ component, path, message }];
}

function servedBy(detected: DetectedApiserver | DetectedEtcd): Served | undefined {
  if (detected.component === 'kube-apiserver') {
    const path = lastFlag(detected.effectiveFlags, 'tls-cert-file') ?? '';
    return path === '' ? undefined : { authority: 'kubernetes', setting: 'tls-cert-file', path };
  }
  // peers verify each other by roots that are compared already
  const path = effectiveSetting(detected, 'cert-file');
  const serves = path !== '' && anySecure(effectiveSetting(detected, 'listen-client-urls'));
  return serves ? { authority: 'etcd', setting: 'cert-file', path } : undefined;
}
