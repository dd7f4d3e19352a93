/** The certificates in a component's folder as its status tells them. */
import { join } from 'node:path';
import type { Authority, Component, Profile } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { issuers } from '../plan/complete-change.ts';
import type { InstalledFolder } from '../plan/plan-input.ts';
import type { CertificateInUse } from './status-board.ts';
import { issuerPin } from './trust.ts';

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
  'kube-controller-manager': {
    serving: 'kube-controller-manager-serving',
    client: 'kube-controller-manager-client',
    'probe-client': 'probe-client',
  },
  'kube-scheduler': {
    serving: 'kube-scheduler-serving',
    client: 'kube-scheduler-client',
    'probe-client': 'probe-client',
  },
  kubelet: { serving: 'kubelet-serving', client: 'kubelet-client', 'probe-client': 'probe-client' },
  'kube-proxy': { client: 'kube-proxy-client' },
  admin: { admin: 'admin-client', 'super-admin': 'super-admin-client' },
};

/** What a file of a component's folder is; undefined for one that is none of ours. */
export function profileOf(component: Component, file: string): Profile | undefined {
  return PROFILES[component][file];
}

/**
 * The certificates behind the link `current`; files that are none of ours are left out.
 *
 * @param folder - of the component, without the link
 * @param bundles - roots in force, PEM, by authority
 * @throws AppError 'invalid-request' when one cannot be read
 */
export function installedCertificates(
  installed: InstalledFolder,
  folder: string,
  bundles: ReadonlyMap<Authority, string>,
): CertificateInUse[] {
  return installed.certificates.flatMap(({ file, pem }) => {
    const profile = profileOf(installed.component, file);
    if (profile === undefined) return [];
    const { serial, notAfter } = parseCertificate(pem);
    const path = join(folder, 'current', `${file}.crt`);
    const pin = issuerPin(pem, bundles.get(issuers[profile]));
    return [{ profile, serial, path, notAfterMs: notAfter.getTime(), issuerPin: pin }];
  });
}
