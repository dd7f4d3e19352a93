/** The certificates in a component's folder as its status tells them. */
import { join } from 'node:path';
import type { Component, Profile } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import type { InstalledFolder } from '../plan/plan-input.ts';
import type { CertificateInUse } from './status-board.ts';

/** What each file of a component's folder is, by its name without extension. */
const PROFILES: Record<Component, Readonly<Record<string, Profile>>> = {
  etcd: { server: 'etcd-server', peer: 'etcd-peer', 'healthcheck-client': 'etcd-healthcheck-client' },
  'kube-apiserver': {
    serving: 'kube-apiserver-serving',
    'kubelet-client': 'kube-apiserver-kubelet-client',
    'etcd-client': 'kube-apiserver-etcd-client',
    'front-proxy-client': 'front-proxy-client',
    'probe-client': 'probe-client',
  },
  kubelet: { serving: 'kubelet-serving', client: 'kubelet-client', 'probe-client': 'probe-client' },
};

/**
 * The certificates behind the link `current`; files that are none of ours are left out.
 *
 * @param folder - of the component, without the link
 * @throws AppError 'invalid-request' when one cannot be read
 */
export function installedCertificates(installed: InstalledFolder, folder: string): CertificateInUse[] {
  return installed.certificates.flatMap(({ file, pem }) => {
    const profile = PROFILES[installed.component][file];
    if (profile === undefined) return [];
    const { serial, notAfter } = parseCertificate(pem);
    return [{ profile, serial, path: join(folder, 'current', `${file}.crt`), notAfterMs: notAfter.getTime() }];
  });
}
