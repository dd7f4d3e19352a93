/** Which kind of key the certificates of a component's listeners get, where its cipher suites do not take every kind. */

import type { Profile } from '../../common/names/names.ts';
import { type KeyKind, kindOfAlgorithm, kindOfKey } from '../../common/x509/keys.ts';
import type { Detected } from '../detect/detected.ts';
import { kubeletServedPath, servedPath } from '../detect/served-paths.ts';
import { below } from '../detect/source-file.ts';
import type { KeyChoice } from '../keys/choose-algorithm.ts';
import type { KeyDemand } from './change.ts';
import { type ChosenSuites, chosenSuites, fitness } from './cipher-suites.ts';
import { effectiveSetting } from './etcd-settings.ts';
import type { PlanInput } from './plan-input.ts';
import { servedFile } from './served-certificate.ts';
import type { WishedSlot } from './wish.ts';

/** Slots with the kind of key that they need, and why there is none. */
export interface FittedSlots {
  slots: WishedSlot[];
  /** Sentences. */
  problems: string[];
}

/** Certificates that a listener shows. Suites do not concern those that clients show: a server asks for RSA and ECDSA (crypto/tls). */
const SERVED: ReadonlySet<Profile> = new Set<Profile>([
  'etcd-server',
  'etcd-peer',
  'kube-apiserver-serving',
  'kube-controller-manager-serving',
  'kube-scheduler-serving',
  'kubelet-serving',
]);

/**
 * The slots, those of listeners with what the suites demand. An algorithm that agent.yaml names and no suite fits is a problem, and so are
 * suites that are all unknown, unless the certificate that is served now shows what they work with.
 */
export function fitKeys(detected: Detected, slots: readonly WishedSlot[], input: PlanInput): FittedSlots {
  const suites = slots.some(({ profile }) => SERVED.has(profile)) ? chosenSuites(detected) : undefined;
  if (suites === undefined) return { slots: [...slots], problems: [] };
  const fitted = fit(suites, input.keyAlgorithm, () => servedKind(detected, input));
  if (typeof fitted === 'string') return { slots: [...slots], problems: [fitted] };
  return {
    slots:
      fitted === undefined
        ? [...slots]
        : slots.map((slot) => (SERVED.has(slot.profile) ? { ...slot, key: fitted } : slot)),
    problems: [],
  };
}

/** What is demanded, undefined where every kind fits as well, or the sentence that nothing can be chosen. */
function fit(
  suites: ChosenSuites,
  chosen: KeyChoice,
  served: () => KeyKind | undefined,
): KeyDemand | string | undefined {
  const by = { ECDSA: fitness(suites, 'ECDSA'), RSA: fitness(suites, 'RSA') };
  if (by.ECDSA === 0 && by.RSA === 0) return fitUnknown(suites, chosen, served());
  const kind = chosen === 'auto' ? (by.RSA > by.ECDSA ? 'RSA' : 'ECDSA') : kindOfAlgorithm(chosen);
  const other = kind === 'RSA' ? 'ECDSA' : 'RSA';
  if (by[kind] === 0) return contradiction(suites, kind);
  if (by[kind] <= by[other]) return undefined;
  const none = by[other] === 0 ? 'has no suite' : 'has none of the suites that HTTP/2 allows';
  return { kind, why: `${suites.by} ${none} for ${other} keys` };
}

/** Whoever is served now goes on with the kind of key that is served now. */
function fitUnknown(suites: ChosenSuites, chosen: KeyChoice, served: KeyKind | undefined): KeyDemand | string {
  const names = suites.names.join(', ');
  if (served === undefined) {
    return `it cannot be told whether ${suites.by} fits RSA or ECDSA keys, since it names only ${names}: add a suite by its name in Go's crypto/tls, as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`;
  }
  if (chosen !== 'auto' && kindOfAlgorithm(chosen) !== served) return contradiction(suites, kindOfAlgorithm(chosen));
  return { kind: served, why: `the certificate that is served now has one, and ${suites.by} names only ${names}` };
}

function contradiction({ by }: ChosenSuites, kind: KeyKind): string {
  const other = kind === 'RSA' ? 'ecdsa-p256' : 'rsa-2048';
  return `${by} has no suite for ${kind} keys, which agent.yaml asks for: add one wherever this component runs, or leave keyAlgorithm out of agent.yaml, or set it to ${other}`;
}

/** Of the certificate that the component's first listener shows, undefined when there is none that can be read. */
function servedKind(detected: Detected, { layout, detected: { certificates } }: PlanInput): KeyKind | undefined {
  const file = servedFile(certificates, below(layout, servedPathOf(detected)));
  return typeof file === 'object' && 'certificate' in file ? kindOfKey(file.certificate.x509.publicKey) : undefined;
}

function servedPathOf(detected: Detected): string {
  switch (detected.component) {
    case 'etcd':
      return effectiveSetting(detected, 'cert-file');
    case 'kubelet':
      return kubeletServedPath(detected).path;
    case 'kube-apiserver':
    case 'kube-controller-manager':
    case 'kube-scheduler':
      return servedPath(detected, detected.effectiveFlags)?.path ?? '';
    default:
      return '';
  }
}
