/** Which certificates a kubelet uses: those it is given, and those it made itself. */
import { join } from 'node:path';
import { listBounded } from '../../common/files/read-bounded.ts';
import type { Layout } from '../layout.ts';
import { type CertificateReference, flagReferences, kubeconfigReferences } from './certificate-references.ts';
import { certificateSettings } from './certificate-settings.ts';
import type { DetectedKubelet } from './detected.ts';
import { lastFlag } from './flags.ts';
import { effectiveKubeletSettings } from './kubelet.ts';
import { kubeletFolder } from './served-paths.ts';
import { below } from './source-file.ts';

/** kubelet leaves a file for each certificate that it ever had, some five a year. */
const MOST_ENTRIES = 1000;

/** All references, as they are in force. */
export async function kubeletReferences(layout: Layout, detected: DetectedKubelet): Promise<CertificateReference[]> {
  const { effectiveFlags } = detected;
  const { tlsCertFile, clientCaFile, rotatesClient } = effectiveKubeletSettings(detected);
  const rotateFlag = lastFlag(effectiveFlags, 'rotate-certificates');
  const rotates = rotateFlag === undefined ? rotatesClient : rotateFlag === 'true';
  const serves = tlsCertFile === '' && lastFlag(effectiveFlags, 'tls-cert-file') === undefined;
  const named = [
    { consumer: 'kubelet tlsCertFile', path: tlsCertFile },
    { consumer: 'kubelet authentication.x509.clientCAFile', path: clientCaFile },
  ];
  return [
    ...flagReferences('kubelet', effectiveFlags, certificateSettings.kubelet),
    ...named.filter(({ path }) => path !== ''),
    ...kubeconfigReferences('kubelet --kubeconfig', detected.kubeconfig),
    ...(await ownFiles(layout, kubeletFolder(detected), serves, rotates)),
  ];
}

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
  const entries = await listBounded(below(layout, folder), { mostEntries: MOST_ENTRIES }).catch(() => []);
  // no such folder: kubelet has made nothing; one with so many files is not kubelet's work, and what it uses is not among them
  return (entries ?? [])
    .map(({ name }) => name)
    .filter((name) => name.endsWith('.crt') || name.endsWith('-current.pem'))
    .filter((name) => (name === 'kubelet-client-current.pem' ? rotates : serves))
    .sort()
    .map((name) => ({ consumer: 'kubelet --cert-dir', path: join(folder, name) }));
}
