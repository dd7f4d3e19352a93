/** Every certificate that something on the node refers to, managed by kube-mtls or not. */
import { X509Certificate } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Layout } from '../layout.ts';
import { type CertificateReference, certificateReferences } from './certificate-references.ts';
import type { Detected, FoundCertificate } from './detected.ts';
import { kubeletReferences } from './kubelet-references.ts';
import { nestedReferences } from './nested-references.ts';
import { below, readSourceIfAny } from './source-file.ts';
import { unreferencedFiles } from './unreferenced.ts';

/** What is found is kept and reported; a certificate has some two kilobytes. */
const LARGEST_PEM = 64 * 1024;

/**
 * Certificates of the components, and those in kubeadm's folder that none of them refers to (with the consumer ''), sorted
 * by path and consumer. What cannot be read or parsed is listed with its problem.
 *
 * @param others - references of what is no component
 */
export async function findCertificates(
  layout: Layout,
  components: readonly Detected[],
  others: readonly CertificateReference[] = [],
): Promise<FoundCertificate[]> {
  const references: CertificateReference[] = [];
  for (const detected of components) {
    references.push(...(await referencesOf(layout, detected)));
  }
  references.push(...others);
  const found: FoundCertificate[] = [];
  for (const reference of references) {
    const file = await readReference(layout, reference); // one after another: each may be large
    if (file.missing !== true || reference.optional !== true) found.push(file);
  }
  for (const path of await unreferencedFiles(
    layout,
    found.map(({ path }) => path),
  )) {
    const file = await readReference(layout, { path, consumer: '' });
    // a .pem may be a key, which is nobody's certificate
    if (path.endsWith('.crt') || file.certificatePem !== undefined) found.push(file);
  }
  return unique(found).sort((a, b) => compare(a.path, b.path) || compare(a.consumer, b.consumer));
}

/** The first certificate of a PEM text, which may hold keys and other certificates too; undefined when it has none. */
export function firstCertificate(text: string): string | undefined {
  return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/.exec(
    text,
  )?.[0];
}

async function referencesOf(layout: Layout, detected: Detected): Promise<CertificateReference[]> {
  switch (detected.component) {
    case 'kubelet':
      return kubeletReferences(layout, detected);
    case 'kube-apiserver':
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return [...certificateReferences(layout, detected), ...(await nestedReferences(layout, detected))];
    default:
      return certificateReferences(layout, detected);
  }
}

async function readReference(layout: Layout, reference: CertificateReference): Promise<FoundCertificate> {
  const { consumer } = reference;
  const absolute = isAbsolute(reference.path);
  const path = absolute ? below(layout, reference.path) : reference.path;
  try {
    if (reference.problem !== undefined) throw new Error(reference.problem);
    if (!absolute) throw new Error('is no absolute path');
    const text =
      reference.data === undefined
        ? (await readSourceIfAny(path))?.text
        : Buffer.from(reference.data, 'base64').toString('utf8');
    if (text === undefined) {
      return { path, consumer, certificatePem: undefined, problem: 'there is no such file', missing: true };
    }
    const pem = firstCertificate(text);
    if (pem === undefined) throw new Error('holds no PEM certificate');
    if (pem.length > LARGEST_PEM) throw new Error('holds a certificate of more than 64 KiB');
    new X509Certificate(pem);
    return { path, consumer, certificatePem: `${pem}\n`, problem: '' };
  } catch (error) {
    return { path, consumer, certificatePem: undefined, problem: messageOf(error) };
  }
}

function unique(found: readonly FoundCertificate[]): FoundCertificate[] {
  return [...new Map(found.map((one) => [`${one.path}\0${one.consumer}`, one])).values()];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
