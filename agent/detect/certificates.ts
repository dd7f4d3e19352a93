/** Every certificate that something on the node refers to, managed by kube-mtls or not. */
import { X509Certificate } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Layout } from '../layout.ts';
import { type CertificateReference, certificateReferences } from './certificate-references.ts';
import type { Detected, FoundCertificate } from './detected.ts';
import { findOtherReferences } from './other-programs.ts';
import { below, readSource } from './source-file.ts';
import type { UnitDeps } from './unit.ts';

/**
 * Certificates of the components and of kube-controller-manager and kube-scheduler, sorted by path and consumer.
 * What cannot be read or parsed is listed with its problem.
 */
export async function findCertificates(
  deps: UnitDeps,
  components: readonly Detected[],
  signal: AbortSignal,
): Promise<FoundCertificate[]> {
  const others = await findOtherReferences(deps, signal);
  const references = [...others.references];
  for (const detected of components) references.push(...(await certificateReferences(deps.layout, detected)));
  const found = await Promise.all(references.map((reference) => readReference(deps.layout, reference)));
  return unique([...found, ...others.failures]).sort(
    (a, b) => compare(a.path, b.path) || compare(a.consumer, b.consumer),
  );
}

/** The first certificate of a PEM text, which may hold keys and other certificates too; undefined when it has none. */
export function firstCertificate(text: string): string | undefined {
  return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END (?:TRUSTED |X509 )?CERTIFICATE-----/.exec(
    text,
  )?.[0];
}

async function readReference(layout: Layout, reference: CertificateReference): Promise<FoundCertificate> {
  const { consumer } = reference;
  const absolute = isAbsolute(reference.path);
  const path = absolute ? below(layout, reference.path) : reference.path;
  try {
    if (!absolute) throw new Error('is no absolute path');
    const text =
      reference.data === undefined
        ? (await readSource(path)).text
        : Buffer.from(reference.data, 'base64').toString('utf8');
    const pem = firstCertificate(text);
    if (pem === undefined) throw new Error('holds no PEM certificate');
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
