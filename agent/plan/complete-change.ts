/** Compares what a component should look like with what is there. */
import type { Authority, Profile } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import { parseCertificates } from '../../common/x509/certificate.ts';
import type { Problem } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { BundleFile, ComponentChange, Slot } from './change.ts';
import { whyDue } from './due.ts';
import { rootsOf } from './guard-trust.ts';
import type { InstalledFolder, PlanInput } from './plan-input.ts';
import { differs, type Wish } from './wish.ts';

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
};

/**
 * The change that makes the wish true; undefined when it is true already. One reason is enough to make the whole folder
 * new: its slots then all get new keys, and those that were good carry the reason of the others.
 */
export function completeChange(wish: Wish, input: PlanInput): ComponentChange | undefined {
  const { detected } = wish;
  const { component, unit } = detected;
  const folder = input.current.find((current) => current.component === component);
  const dueSlots = wish.slots.map((slot) => ({
    slot,
    reason: whyDue({
      slot,
      installed: folder?.certificates.find(({ file }) => file === slot.file),
      roots: rootsOf(input.bundles, issuers[slot.profile]),
      nodeName: input.settings.nodeName,
      nowMs: input.nowMs,
    }),
  }));
  const files = wish.files.filter(differs);
  const bundles = wish.bundles.filter((bundle) => !isInstalled(bundle, folder, input));
  const due = [
    ...dueSlots.flatMap(({ slot, reason }) => (reason === undefined ? [] : [`${slot.file}: ${reason}`])),
    ...bundles.map(({ file }) => `${file}: roots changed`),
  ];
  const reasons = [
    ...due,
    ...files.map(({ path }) => `${path} changes`),
    ...(wish.memberUpdate === undefined ? [] : ['peer URLs change']),
  ];
  const [first] = reasons;
  if (first === undefined) return undefined;
  return {
    component,
    detected,
    folder: componentFolder(input.layout, component),
    uid: unit.uid,
    gid: unit.gid,
    slots: dueSlots.map(
      ({ slot, reason }): Slot => ({ ...slot, reason: reason ?? `renewed with the others (${first})` }),
    ),
    bundles: wish.bundles,
    files,
    memberUpdate: wish.memberUpdate,
    target: wish.target,
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

/** Order and text around the certificates do not matter. */
function isInstalled({ authority, file }: BundleFile, folder: InstalledFolder | undefined, input: PlanInput): boolean {
  const installed = folder?.bundles.find((bundle) => bundle.file === file);
  if (installed === undefined) return false;
  try {
    return fingerprints(parseCertificates(installed.pem)) === fingerprints(rootsOf(input.bundles, authority));
  } catch {
    return false; // unreadable, so written anew
  }
}

function fingerprints(roots: readonly Certificate[]): string {
  return [...new Set(roots.map(({ sha256 }) => sha256))].sort().join();
}
