/** Which certificates a component's flags, configuration and kubeconfigs refer to, as they are in force. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../layout.ts';
import type { Detected, DetectedApiserver, DetectedEtcd, DetectedKubelet, SourceFile } from './detected.ts';
import { lastFlag } from './flags.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { parseKubeletConfig } from './kubelet-config.ts';
import { below } from './source-file.ts';

/** A certificate by the file that holds it, or embedded in another file. */
export interface CertificateReference {
  /** "kube-apiserver --tls-cert-file". */
  consumer: string;
  /** The certificate's file, or the file that it is embedded in. */
  path: string;
  /** Base64 of PEM, for an embedded one. */
  data?: string;
}

type Flags = ReadonlyMap<string, readonly string[]>;

const APISERVER_FLAGS = [
  'tls-cert-file',
  'client-ca-file',
  'kubelet-client-certificate',
  'kubelet-certificate-authority',
  'etcd-cafile',
  'etcd-certfile',
  'proxy-client-cert-file',
  'requestheader-client-ca-file',
  'oidc-ca-file',
  'peer-ca-file',
];
const ETCD_SETTINGS = [
  'cert-file',
  'client-cert-file',
  'trusted-ca-file',
  'peer-cert-file',
  'peer-client-cert-file',
  'peer-trusted-ca-file',
];
const KUBELET_FLAGS = ['tls-cert-file', 'client-ca-file'];

/** All references of a component. */
export async function certificateReferences(layout: Layout, detected: Detected): Promise<CertificateReference[]> {
  switch (detected.component) {
    case 'etcd':
      return etcdReferences(detected);
    case 'kube-apiserver':
      return apiserverReferences(detected);
    case 'kubelet':
      return kubeletReferences(layout, detected);
  }
}

/** References by flags that hold a path. */
export function flagReferences(program: string, flags: Flags, names: readonly string[]): CertificateReference[] {
  return names.flatMap((name) => {
    const path = lastFlag(flags, name) ?? '';
    return path === '' ? [] : [{ consumer: `${program} --${name}`, path }];
  });
}

/** --tls-sni-cert-key holds CERT,KEY[:names]; all its values count. */
export function sniReferences(program: string, flags: Flags): CertificateReference[] {
  return (flags.get('tls-sni-cert-key') ?? []).map((value) => ({
    consumer: `${program} --tls-sni-cert-key`,
    path: value.replace(/,.*$/s, ''),
  }));
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

function etcdReferences({ effectiveSettings }: DetectedEtcd): CertificateReference[] {
  return ETCD_SETTINGS.flatMap((name) => {
    const path = effectiveSettings.get(name)?.value;
    return path === undefined || path === '' ? [] : [{ consumer: `etcd --${name}`, path }];
  });
}

function apiserverReferences({ effectiveFlags }: DetectedApiserver): CertificateReference[] {
  return [
    ...flagReferences('kube-apiserver', effectiveFlags, APISERVER_FLAGS),
    ...sniReferences('kube-apiserver', effectiveFlags),
  ];
}

async function kubeletReferences(layout: Layout, detected: DetectedKubelet): Promise<CertificateReference[]> {
  const { config, effectiveFlags } = detected;
  const { tlsCertFile, clientCaFile, rotatesClient } =
    config === undefined ? NOTHING_NAMED : parseKubeletConfig(config);
  const rotateFlag = lastFlag(effectiveFlags, 'rotate-certificates');
  const rotates = rotateFlag === undefined ? rotatesClient : rotateFlag === 'true';
  const serves = tlsCertFile === '' && lastFlag(effectiveFlags, 'tls-cert-file') === undefined;
  const named = [
    { consumer: 'kubelet tlsCertFile', path: tlsCertFile },
    { consumer: 'kubelet authentication.x509.clientCAFile', path: clientCaFile },
  ];
  return [
    ...flagReferences('kubelet', effectiveFlags, KUBELET_FLAGS),
    ...named.filter(({ path }) => path !== ''),
    ...kubeconfigReferences('kubelet --kubeconfig', detected.kubeconfig),
    ...(await ownFiles(layout, lastFlag(effectiveFlags, 'cert-dir') || '/var/lib/kubelet/pki', serves, rotates)),
  ];
}

const NOTHING_NAMED = { tlsCertFile: '', clientCaFile: '', rotatesClient: false };

/**
 * What kubelet made itself and uses: kubelet.crt, and links to the current one of each kind; dated ones are history.
 *
 * @param serves - true when it serves with a certificate of its own
 * @param rotates - true when it renews its client certificate itself
 */
async function ownFiles(
  layout: Layout,
  folder: string,
  serves: boolean,
  rotates: boolean,
): Promise<CertificateReference[]> {
  let names: string[];
  try {
    names = await readdir(below(layout, folder));
  } catch {
    return []; // no such folder: kubelet has made nothing
  }
  return names
    .filter((name) => name.endsWith('.crt') || name.endsWith('-current.pem'))
    .filter((name) => (name === 'kubelet-client-current.pem' ? rotates : serves))
    .sort()
    .map((name) => ({ consumer: 'kubelet --cert-dir', path: join(folder, name) }));
}
