/** Compares what a component should look like with what is there. */
import type { Authority, Profile } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import { parseCertificates } from '../../common/x509/certificate.ts';
import type { Problem } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { BundleFile, ComponentChange, Slot } from './change.ts';
import { whyDue } from './due.ts';
import { rootsOf } from './guard-trust.ts';
import { openListeners } from './open-listeners.ts';
import type { InstalledFolder, PlanInput } from './plan-input.ts';
import { isProbe, rotationOf } from './rotation.ts';
import { takeUpOf } from './take-up.ts';
import { differs, type Wish, type WishedSlot } from './wish.ts';

/** Who issues a profile. */
export const issuers: Readonly<Record<Profile, Authority>> = {
  'kube-apiserver-serving': 'kubernetes',
  'kube-apiserver-kubelet-client': 'kubernetes',
  'kube-apiserver-etcd-client': 'etcd',
  'front-proxy-client': 'front-proxy',
  'etcd-server': 'etcd',
  'etcd-peer': 'etcd',
  'etcd-healthcheck-client': 'etcd',
  'kubelet-serving': 'kubernetes',
  'kubelet-client': 'kubernetes',
  'probe-client': 'kubernetes',
  'kube-controller-manager-serving': 'kubernetes',
  'kube-controller-manager-client': 'kubernetes',
  'kube-scheduler-serving': 'kubernetes',
  'kube-scheduler-client': 'kubernetes',
  'kube-proxy-client': 'kubernetes',
  'admin-client': 'kubernetes',
  'super-admin-client': 'kubernetes',
};

/** What of a component's folder has to be made new. */
export interface FolderDue {
  /** All slots, each with why it is due, or undefined. */
  slots: { slot: WishedSlot; reason: string | undefined }[];
  /** Files of roots whose content is not yet as it shall be. */
  bundles: BundleFile[];
}

/** Compares a component's folder with what shall be in it. */
export function folderDue(
  { detected, slots, bundles }: Pick<Wish, 'detected' | 'slots' | 'bundles'>,
  input: PlanInput,
): FolderDue {
  const folder = input.current.find((current) => current.component === detected.component);
  return {
    slots: slots.map((slot) => ({
      slot,
      reason: whyDue({
        slot,
        installed: folder?.certificates.find(({ file }) => file === slot.file),
        signers: signersOf(slot.profile, input),
        nodeName: input.settings.nodeName,
        nowMs: input.nowMs,
      }),
    })),
    bundles: bundles.filter((bundle) => !isInstalled(bundle, folder, input)),
  };
}

/**
 * The change that makes the wish true; undefined when it is true already. One reason is enough to make the whole folder
 * new: its slots then all get new keys, and those that were good carry the reason of the others.
 */
export function completeChange(wish: Wish, input: PlanInput): ComponentChange | undefined {
  const { detected } = wish;
  const { component, process } = detected;
  const { slots, bundles } = folderDue(wish, input);
  const files = wish.files.filter(differs);
  const due = [
    ...slots.flatMap(({ slot, reason }) => (reason === undefined ? [] : [`${slot.file}: ${reason}`])),
    ...bundles.map(({ file }) => `${file}: roots changed`),
  ];
  const reasons = [
    ...due,
    ...files.map(({ path }) => `${path} changes`),
    ...(wish.memberUpdate === undefined ? [] : ['peer URLs change']),
  ];
  const [first] = reasons;
  if (first === undefined) return undefined;
  const takeUp = takeUpOf(wish, files, bundles);
  const notes = [...(wish.notes ?? []), ...(wish.target === 'enforced' ? openListeners(detected) : [])];
  const restarts = takeUp === 'live' || files.some((file) => file.restarts);
  return {
    component,
    detected,
    folder: componentFolder(input.layout, component),
    uid: process.uid,
    gid: process.gid,
    slots: slots.map(({ slot, reason }): Slot => ({ ...slot, reason: reason ?? `renewed with the others (${first})` })),
    bundles: wish.bundles,
    files: restarts || wish.restartMark === undefined ? files : [...files, wish.restartMark],
    memberUpdate: wish.memberUpdate,
    target: wish.target,
    takeUp,
    ...(wish.dependants === undefined ? {} : { dependants: wish.dependants }),
    ...(notes.length === 0 ? {} : { notes }),
    summary: [...wish.summary, ...due],
  };
}

/** A problem for each authority whose roots the component needs and the server did not give. */
export function missingRoots({ detected, slots, bundles }: Wish, input: PlanInput): Problem[] {
  const needed = new Set([
    ...bundles.map(({ authority }) => authority),
    ...slots.map(({ profile }) => issuers[profile]),
  ]);
  return [...needed]
    .filter((authority) => rootsOf(input.bundles, authority).length === 0)
    .map((authority) => ({
      component: detected.component,
      message: `the CA server gave no roots of the ${authority} CA: see its log, and whether this node's role may have them`,
    }));
}

/** True when both hold the same certificates, in whatever order. */
export function sameRoots(some: readonly Certificate[], others: readonly Certificate[]): boolean {
  return fingerprints(some) === fingerprints(others);
}

/**
 * The roots whose key signs a profile now. In the phase trust the agent's own certificates come from the new CA already: a
 * component that takes one shows that it trusts the new root.
 */
function signersOf(profile: Profile, input: PlanInput): Certificate[] {
  const authority = issuers[profile];
  const roots = rootsOf(input.bundles, authority);
  const { phase, issuingPin } = rotationOf(input, authority);
  if (phase === 'trust' && isProbe(profile)) return roots.slice(0, 1);
  return issuingPin === '' ? roots : roots.filter(({ publicKeyPin }) => publicKeyPin === issuingPin);
}

/** Order and text around the certificates do not matter. */
function isInstalled({ authority, file }: BundleFile, folder: InstalledFolder | undefined, input: PlanInput): boolean {
  const installed = folder?.bundles.find((bundle) => bundle.file === file);
  if (installed === undefined) return false;
  try {
    return sameRoots(parseCertificates(installed.pem), rootsOf(input.bundles, authority));
  } catch {
    return false; // unreadable, so written anew
  }
}

function fingerprints(roots: readonly Certificate[]): string {
  return [...new Set(roots.map(({ sha256 }) => sha256))].sort().join();
}
