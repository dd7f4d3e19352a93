/** The KubeletConfiguration (kubelet.config.k8s.io/v1beta1) with our files in it. */
import { editYaml, parseYaml, type YamlEdit } from './edit-yaml.ts';

/** Files that the kubelet shall use, absolute paths. */
export interface KubeletFiles {
  servingCertificate: string;
  servingKey: string;
  clientCa: string;
}

/**
 * The text with serving certificate, client CA, no anonymous callers, and without the kubelet's own rotation, which would
 * write its own certificates over ours. Done twice it changes nothing.
 *
 * @throws AppError invalid-request
 */
export function editKubeletConfig(text: string, files: KubeletFiles): string {
  const set = (path: string[], to: string | boolean): YamlEdit => ({ kind: 'set', path, to });
  const bootstraps = parseYaml(text).get('serverTLSBootstrap') === true;
  return editYaml(text, [
    set(['tlsCertFile'], files.servingCertificate),
    set(['tlsPrivateKeyFile'], files.servingKey),
    set(['authentication', 'x509', 'clientCAFile'], files.clientCa),
    set(['authentication', 'anonymous', 'enabled'], false),
    set(['rotateCertificates'], false),
    ...(bootstraps ? [set(['serverTLSBootstrap'], false)] : []),
  ]);
}

/**
 * Where the configuration has its roots for callers' certificates; undefined when it names none.
 *
 * @throws AppError invalid-request
 */
export function clientCaOf(text: string): string | undefined {
  return stringAt(text, ['authentication', 'x509', 'clientCAFile']);
}

/**
 * The serving certificate that the configuration names.
 *
 * @throws AppError invalid-request
 */
export function servingCertificateOf(text: string): string | undefined {
  return stringAt(text, ['tlsCertFile']);
}

function stringAt(text: string, path: string[]): string | undefined {
  const value: unknown = parseYaml(text).getIn(path);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
