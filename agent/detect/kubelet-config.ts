/** KubeletConfiguration (kubelet.config.k8s.io/v1beta1): what detection looks at. */
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseYamlFile, textAt } from './yaml-file.ts';

/** Files that the configuration names; '' where it names none. */
export interface KubeletConfigReferences {
  tlsCertFile: string;
  clientCaFile: string;
  /** True when kubelet renews its client certificate itself, and then uses its own file instead of the kubeconfig's. */
  rotatesClient: boolean;
}

/**
 * Checks a kubelet's configuration and takes out the certificates it names.
 *
 * @throws NotUnderstood with the line when it is no KubeletConfiguration or names a certificate by something else than text
 */
export function parseKubeletConfig(file: SourceFile): KubeletConfigReferences {
  const yaml = parseYamlFile(file);
  const kind = textAt(file, yaml, ['kind']);
  if (kind !== 'KubeletConfiguration') {
    const line = yaml.lineOf(yaml.document.getIn(['kind'], true));
    throw new NotUnderstood(`is no KubeletConfiguration but "${kind}"`, { path: file.path, line });
  }
  return {
    tlsCertFile: textAt(file, yaml, ['tlsCertFile']),
    clientCaFile: textAt(file, yaml, ['authentication', 'x509', 'clientCAFile']),
    rotatesClient: yaml.document.getIn(['rotateCertificates']) === true,
  };
}
