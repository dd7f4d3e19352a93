/**
 * Certificates that a component serves for some server names (--tls-sni-cert-key), beside its default one. One of a CA that is
 * being replaced would be believed by nobody once that is trusted no more: its names go into the default certificate, which is
 * served wherever no other fits. One of a CA of somebody else is none of ours.
 */
import { type Authority, authorities } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import type { DetectedApiserver, DetectedManager, Problem } from '../detect/detected.ts';
import { sees } from '../detect/served-paths.ts';
import { parseSniPair } from '../detect/sni-pair.ts';
import { below } from '../detect/source-file.ts';
import { leavesOut } from './drop-in.ts';
import { retiredRootsOf, rootsOf } from './guard-trust.ts';
import type { PlanInput } from './plan-input.ts';
import type { FlagEdit } from './rewrite-command.ts';
import { rotationOf } from './rotation.ts';
import { isSignedBy, type ServedCertificate, servedFile } from './served-certificate.ts';

/** The flag; each occurrence is one pair. */
export const sniFlag = 'tls-sni-cert-key';

/** What becomes of the pairs. */
export interface SniPairs {
  /** Undefined when all of them stay. */
  edit: FlagEdit | undefined;
  /** Values that go. */
  leftOut: string[];
  /** Certificates whose names the default one has to hold from now on. */
  replaced: ServedCertificate[];
  /** One sentence for each that stays, for a person. */
  notes: string[];
  problems: Problem[];
}

type Fate = { stays: string } | { goes: ServedCertificate | undefined } | { problem: string };

/** Decides by the flags without our drop-in; what that left out stays out, since afterwards nobody knows the old CA any more. */
export function sniPairs(detected: DetectedApiserver | DetectedManager, input: PlanInput): SniPairs {
  const { component, flags } = detected;
  const fates = (flags.get(sniFlag) ?? []).map((value) => ({ value, fate: fateOf(value, detected, input) }));
  const leftOut = fates.flatMap(({ value, fate }) => ('goes' in fate ? [value] : []));
  return {
    edit: leftOut.length === 0 ? undefined : { map: (value) => (leftOut.includes(value) ? undefined : value) },
    leftOut,
    replaced: fates.flatMap(({ fate }) => ('goes' in fate && fate.goes !== undefined ? [fate.goes] : [])),
    notes: fates.flatMap(({ fate }) => ('stays' in fate && fate.stays !== '' ? [fate.stays] : [])),
    problems: fates.flatMap(({ fate }) => ('problem' in fate ? [{ component, message: fate.problem }] : [])),
  };
}

function fateOf(value: string, { process }: DetectedApiserver | DetectedManager, input: PlanInput): Fate {
  const path = parseSniPair(value)?.certificate;
  const file = path === undefined ? 'missing' : servedFile(input.detected.certificates, below(input.layout, path));
  const certificate = typeof file === 'object' && 'certificate' in file ? file.certificate : undefined;
  const signed = (roots: readonly Certificate[]) =>
    certificate !== undefined && roots.some(({ x509 }) => isSignedBy(certificate, x509));
  if (process.kind === 'unit' && leavesOut(process.dropIn, sniFlag, value)) return { goes: undefined };
  const replacing = authorities.all.filter((authority) => replaces(input, authority));
  const named = `--${sniFlag}=${value}`;
  if (path === undefined || certificate === undefined || !sees(process, path)) {
    if (replacing.length === 0) return { stays: '' };
    const why =
      typeof file === 'object' && 'unreadable' in file ? file.unreadable : 'there is no such file on the host';
    const problem = `it cannot be told whether the certificate of ${named} is of the CA that is being replaced (${why}): write it there as PEM, or take the value out`;
    return { problem };
  }
  const old = replacing.find((authority) => signed(oldRootsOf(input, authority)));
  if (signed(newRootsOf(input))) return { stays: `${named} stays: it is of the new kubernetes CA` };
  if (old === 'kubernetes') return { goes: certificate };
  if (old !== undefined) {
    const problem = `the certificate of ${named} is of the ${old} CA that is being replaced, and nobody will trust it: write one of a CA there that its clients trust, or take the value out`;
    return { problem };
  }
  const ours = authorities.all.find((authority) => signed(rootsOf(input.bundles, authority)));
  const whose = ours === undefined ? `${certificate.issuer}, which is no CA of ours` : `the ${ours} CA`;
  return { stays: `${named} stays: its certificate is of ${whose}, and is renewed by whoever made it` };
}

/** True from the phase on in which leaves of the new root take the place of the old ones. */
function replaces(input: PlanInput, authority: Authority): boolean {
  const { phase } = rotationOf(input, authority);
  return phase === 'reissue' || phase === 'drop';
}

function newRootsOf(input: PlanInput): Certificate[] {
  if (!replaces(input, 'kubernetes')) return [];
  const { issuingPin } = rotationOf(input, 'kubernetes');
  return rootsOf(input.bundles, 'kubernetes').filter(({ publicKeyPin }) => publicKeyPin === issuingPin);
}

/** Roots that sign nothing any more; those that are retired are not among the others. */
function oldRootsOf(input: PlanInput, authority: Authority): Certificate[] {
  const { issuingPin } = rotationOf(input, authority);
  const others = rootsOf(input.bundles, authority).filter(({ publicKeyPin }) => publicKeyPin !== issuingPin);
  return [...others, ...retiredRootsOf(input, authority)];
}
