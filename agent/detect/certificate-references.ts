/** Which certificates flags, settings and kubeconfigs refer to. */
import type { Layout } from '../layout.ts';
import { certificateSettings, kubeconfigFlags } from './certificate-settings.ts';
import type { Detected, DetectedApiserver, DetectedManager, SourceFile } from './detected.ts';
import { lastFlag } from './flags.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { servedPath } from './served-paths.ts';
import { parseSniPair } from './sni-pair.ts';
import { below } from './source-file.ts';

/** A certificate by the file that holds it, or embedded in another file. */
export interface CertificateReference {
  /** "kube-apiserver --tls-cert-file". */
  consumer: string;
  /** The certificate's file, or the file that it is embedded in. */
  path: string;
  /** Base64 of PEM, for an embedded one. */
  data?: string;
  /** True for a default path, where it need not be. */
  optional?: boolean;
  /** Why it cannot be told what is there. */
  problem?: string;
}

type Flags = ReadonlyMap<string, readonly string[]>;

/** References of a component other than a kubelet, as they are in force. */
export function certificateReferences(
  layout: Layout,
  detected: Exclude<Detected, { component: 'kubelet' }>,
): CertificateReference[] {
  const { component } = detected;
  switch (component) {
    case 'etcd':
      return certificateSettings.etcd.flatMap((name) => {
        const path = detected.effectiveSettings.get(name)?.value ?? '';
        return path === '' ? [] : [{ consumer: `etcd --${name}`, path }];
      });
    case 'kube-apiserver':
      return serverReferences(detected);
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return [
        ...serverReferences(detected),
        ...detected.kubeconfigs.flatMap((file) => kubeconfigReferences(namerOf(layout, detected, file), file)),
      ];
    case 'kube-proxy':
      return kubeconfigReferences('kube-proxy --kubeconfig', detected.kubeconfig);
    case 'admin':
      return detected.kubeconfigs.flatMap(({ profile, file }) => kubeconfigReferences(`admin ${profile}`, file));
  }
}

/** References by flags that hold a path. */
export function flagReferences(program: string, flags: Flags, names: readonly string[]): CertificateReference[] {
  return names.flatMap((name) => {
    const path = lastFlag(flags, name) ?? '';
    return path === '' ? [] : [{ consumer: `${program} --${name}`, path }];
  });
}

/**
 * References of a kubeconfig's current context.
 *
 * @throws NotUnderstood when it is no kubeconfig
 */
export function kubeconfigReferences(consumer: string, file: SourceFile): CertificateReference[] {
  return parseKubeconfig(file).certificates.map(({ key, value }) => ({
    consumer: `${consumer} ${key}`,
    ...(key.endsWith('-data') ? { path: file.path, data: value } : { path: value }),
  }));
}

/** Those of flags, of server names, and of the pair that it finds by --cert-dir. */
function serverReferences(detected: DetectedApiserver | DetectedManager): CertificateReference[] {
  const { component, effectiveFlags: flags } = detected;
  const bySni = (flags.get('tls-sni-cert-key') ?? []).map((value) => ({
    consumer: `${component} --tls-sni-cert-key`,
    path: parseSniPair(value)?.certificate ?? value,
  }));
  const served = servedPath(detected, flags);
  const found =
    served?.setting === 'cert-dir' ? [{ consumer: `${component} --cert-dir`, path: served.path, optional: true }] : [];
  return [...flagReferences(component, flags, certificateSettings[component]), ...found, ...bySni];
}

/** What names a kubeconfig, once: mostly three flags name the same. */
function namerOf(layout: Layout, { component, effectiveFlags }: DetectedManager, file: SourceFile): string {
  const flag = kubeconfigFlags.find((name) => {
    const path = lastFlag(effectiveFlags, name) ?? '';
    return path !== '' && below(layout, path) === file.path;
  });
  return `${component} --${flag ?? 'config'}`;
}
