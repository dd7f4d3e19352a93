/** kube-controller-manager and kube-scheduler: their certificates are listed, the programs themselves left alone. */
import type { CertificateReference } from './certificate-references.ts';
import { flagReferences, kubeconfigReferences, sniReferences } from './certificate-references.ts';
import type { DetectedUnit, FoundCertificate } from './detected.ts';
import { apiserverDialect } from './flag-dialects.ts';
import { flagValues, lastFlag, parseFlags } from './flags.ts';
import { NotUnderstood } from './not-understood.ts';
import { below, readSource } from './source-file.ts';
import { loadUnit, type UnitDeps } from './unit.ts';

/** What they refer to, and what could not be followed. */
export interface OtherReferences {
  references: CertificateReference[];
  failures: FoundCertificate[];
}

const PROGRAMS = ['kube-controller-manager', 'kube-scheduler'];
const CERTIFICATE_FLAGS = [
  'tls-cert-file',
  'client-ca-file',
  'requestheader-client-ca-file',
  'root-ca-file',
  'cluster-signing-cert-file',
  'cluster-signing-kubelet-serving-cert-file',
  'cluster-signing-kubelet-client-cert-file',
  'cluster-signing-kube-apiserver-client-cert-file',
  'cluster-signing-legacy-unknown-cert-file',
];
const KUBECONFIG_FLAGS = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'];

/** References of both programs where they run as units. */
export async function findOtherReferences(deps: UnitDeps, signal: AbortSignal): Promise<OtherReferences> {
  const all: OtherReferences = { references: [], failures: [] };
  for (const program of PROGRAMS) {
    await collect(all, `${program}.service`, async () => {
      const unit = await loadUnit(deps, `${program}.service`, program, signal);
      if (unit !== undefined) await addProgram(all, deps, program, unit);
    });
  }
  return all;
}

async function addProgram(all: OtherReferences, deps: UnitDeps, program: string, unit: DetectedUnit): Promise<void> {
  const place = { path: unit.files[0]?.path ?? '' };
  const flags = flagValues(parseFlags(unit.effectiveCommand, apiserverDialect, place));
  all.references.push(...flagReferences(program, flags, CERTIFICATE_FLAGS), ...sniReferences(program, flags));
  for (const name of KUBECONFIG_FLAGS) {
    const path = lastFlag(flags, name) ?? '';
    if (path === '') continue;
    const consumer = `${program} --${name}`;
    await collect(all, consumer, async () => {
      all.references.push(...kubeconfigReferences(consumer, await readSource(below(deps.layout, path))));
    });
  }
}

/** Runs a step; what it does not understand is listed under the consumer. */
async function collect(all: OtherReferences, consumer: string, step: () => Promise<void>): Promise<void> {
  try {
    await step();
  } catch (error) {
    if (!(error instanceof NotUnderstood)) throw error;
    const { path, line } = error.place;
    const problem = line === undefined ? error.message : `line ${line}: ${error.message}`;
    all.failures.push({ path, consumer, certificatePem: undefined, problem });
  }
}
