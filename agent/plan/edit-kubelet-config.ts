/** The KubeletConfiguration (kubelet.config.k8s.io/v1beta1) with our files in it. */
import { isTrue } from '../detect/yaml-file.ts';
import { header } from './drop-in.ts';
import { editYaml, parseYaml, type YamlEdit } from './edit-yaml.ts';

/**
 * Files that the kubelet shall use, absolute paths. Without a serving certificate it keeps its own certificates, and the rotation
 * by which it gets them.
 */
export interface KubeletFiles {
  clientCa: string;
  servingCertificate?: string;
  servingKey?: string;
}

/**
 * The text with client CA and, with leaves of ours, serving certificate, no anonymous callers, and without the kubelet's own
 * rotation, which would write its own certificates over ours. Done twice it changes nothing.
 *
 * @throws AppError invalid-request
 */
export function editKubeletConfig(text: string, files: KubeletFiles): string {
  const bootstraps = isTrue(parseYaml(text).get('serverTLSBootstrap'));
  return editYaml(
    text,
    settingsOf(files).flatMap(([path, to]): YamlEdit[] =>
      path[0] === 'serverTLSBootstrap' && !bootstraps ? [] : [{ kind: 'set', path, to }],
    ),
  );
}

/** The text of a file of ours in the folder of --config-dir, which holds nothing but our settings. */
export function renderKubeletDropIn(files: KubeletFiles): string {
  return editYaml(
    `${header}\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n`,
    settingsOf(files).map(([path, to]): YamlEdit => ({ kind: 'set', path, to })),
  );
}

function settingsOf(files: KubeletFiles): [path: string[], to: string | boolean][] {
  const { clientCa, servingCertificate, servingKey } = files;
  const roots: [string[], string][] = [[['authentication', 'x509', 'clientCAFile'], clientCa]];
  if (servingCertificate === undefined || servingKey === undefined) return roots;
  return [
    [['tlsCertFile'], servingCertificate],
    [['tlsPrivateKeyFile'], servingKey],
    ...roots,
    [['authentication', 'anonymous', 'enabled'], false],
    [['rotateCertificates'], false],
    [['serverTLSBootstrap'], false],
  ];
}
