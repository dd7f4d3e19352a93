/** KubeletConfiguration (kubelet.config.k8s.io/v1beta1): what detection looks at, in one file or merged from several. */
import { dirname, resolve } from 'node:path';
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { isTrue, parseYamlFile, textAt, textsAt, type YamlFile } from './yaml-file.ts';

/** What the configuration says; '' where it says nothing. */
export interface KubeletSettings {
  tlsCertFile: string;
  clientCaFile: string;
  /** True when kubelet renews its client certificate itself, and then uses its own file instead of the kubeconfig's. */
  rotatesClient: boolean;
  /** True when it serves with a certificate that it had signed by the cluster (serverTLSBootstrap). */
  bootstrapsServing: boolean;
  /** Names of cipher suites; empty where Go chooses. */
  tlsCipherSuites: string[];
  /** "VersionTLS12". */
  tlsMinVersion: string;
  /** Folder of static pods. */
  staticPodPath: string;
}

/** Keys that kube-mtls sets. */
export const managedKubeletKeys: readonly (readonly string[])[] = [
  ['tlsCertFile'],
  ['tlsPrivateKeyFile'],
  ['rotateCertificates'],
  ['serverTLSBootstrap'],
  ['authentication', 'anonymous', 'enabled'],
  ['authentication', 'x509', 'clientCAFile'],
];

/**
 * The settings of one configuration and of what overrides it.
 *
 * @param files - in the order in which they override: --config, then those of --config-dir
 * @throws NotUnderstood with the line when one is no KubeletConfiguration or something else than text stands where text belongs
 */
export function kubeletSettings(files: readonly SourceFile[]): KubeletSettings {
  const parsed = files.map((file) => ({ file, yaml: parseKubeletConfig(file) }));
  const text = (...keys: string[]) => {
    const texts = parsed.map(({ file, yaml }) => ({ file, yaml, value: textAt(file, yaml, keys) }));
    return texts.findLast(({ yaml }) => yaml.document.hasIn(keys));
  };
  const on = (key: string) =>
    isTrue(parsed.findLast(({ yaml }) => yaml.document.hasIn([key]))?.yaml.document.getIn([key]));
  const suites = parsed.findLast(({ yaml }) => yaml.document.hasIn(['tlsCipherSuites']));
  const pods = text('staticPodPath');
  return {
    tlsCertFile: text('tlsCertFile')?.value ?? '',
    clientCaFile: text('authentication', 'x509', 'clientCAFile')?.value ?? '',
    tlsCipherSuites: suites === undefined ? [] : textsAt(suites.file, suites.yaml, ['tlsCipherSuites']),
    tlsMinVersion: text('tlsMinVersion')?.value ?? '',
    rotatesClient: on('rotateCertificates'),
    bootstrapsServing: on('serverTLSBootstrap'),
    // kubelet resolves relative paths from the folder of the file
    staticPodPath: pods === undefined || pods.value === '' ? '' : resolve(dirname(pods.file.path), pods.value),
  };
}

/**
 * Parses a configuration.
 *
 * @throws NotUnderstood with the line when it is no KubeletConfiguration
 */
export function parseKubeletConfig(file: SourceFile): YamlFile {
  const yaml = parseYamlFile(file);
  const kind = textAt(file, yaml, ['kind']);
  if (kind === 'KubeletConfiguration') return yaml;
  const line = yaml.lineOf(yaml.document.getIn(['kind'], true));
  throw new NotUnderstood(`is no KubeletConfiguration but "${kind}"`, { path: file.path, line });
}
