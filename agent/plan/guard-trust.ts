/** The guard that no root in use is ever dropped: whoever relies on it would be locked out. */
import { AppError } from '../../common/errors/app-error.ts';
import type { Authority } from '../../common/names/names.ts';
import { type Certificate, parseCertificates } from '../../common/x509/certificate.ts';
import type { Detected, Problem } from '../detect/detected.ts';
import { componentFolder } from '../layout.ts';
import type { PlanInput } from './plan-input.ts';
import { rotationOf } from './rotation.ts';
import { type TrustUse, trustUses } from './trust-uses.ts';

/** The parts of a plan's input that the guard looks at. */
export type TrustInput = Pick<PlanInput, 'trust' | 'bundles' | 'rotation' | 'layout' | 'nowMs'>;

/**
 * Compares the roots in use with those that will replace them, by subject and public key. Roots that the server retires may go.
 *
 * @param replaced the settings that will be replaced; others keep their roots
 * @returns a problem per setting that would lose a root, or whose roots cannot be read
 */
export function guardTrust(detected: Detected, replaced: readonly string[], input: TrustInput): Problem[] {
  let uses: TrustUse[];
  try {
    uses = trustUses(detected).filter(({ setting }) => replaced.includes(setting));
  } catch (error) {
    return [{ component: detected.component, message: `trust cannot be compared: ${AppError.from(error).message}` }];
  }
  const own = `${componentFolder(input.layout, detected.component)}/`;
  return uses.flatMap((use) => {
    const where = 'path' in use.roots ? { path: use.roots.path } : {};
    return complaints(use, own, input).map((message) => ({ component: detected.component, message, ...where }));
  });
}

/**
 * The roots of an authority; none when the server gave none, or none that can be read.
 */
export function rootsOf(bundles: PlanInput['bundles'], authority: Authority): Certificate[] {
  return parsed(bundles.get(authority) ?? ''); // the plan refuses to go on without roots, whatever the reason
}

/** The roots of an authority that the server lets go: it retires one only once every leaf of it was replaced on every node. */
export function retiredRootsOf(input: Pick<PlanInput, 'rotation'>, authority: Authority): Certificate[] {
  return parsed(rotationOf(input, authority).retiredPem);
}

/** The roots in a file that a component trusts now; none when it was not read or cannot be. */
export function rootsIn(path: string, { trust }: Pick<PlanInput, 'trust'>): Certificate[] {
  return parsed(trust.find((file) => file.path === path)?.pem ?? '');
}

/** Why the roots in a file that a component trusts now cannot be read; undefined when they can, and when there is no such setting. */
export function unreadableRoots(path: string, { trust }: Pick<PlanInput, 'trust'>): string | undefined {
  if (path === '') return undefined;
  try {
    parseCertificates(textOf(path, { trust }));
    return undefined;
  } catch (error) {
    return AppError.from(error).message;
  }
}

/** What two certificates of the same CA have in common, also when it was renewed with its key. */
export function rootIdentity(root: Certificate): string {
  return `${root.subject} ${root.publicKeyPin}`;
}

function parsed(pem: string): Certificate[] {
  try {
    return parseCertificates(pem);
  } catch {
    return [];
  }
}

function complaints({ authority, setting, roots }: TrustUse, own: string, input: TrustInput): string[] {
  let inUse: Certificate[];
  try {
    inUse = parseCertificates('pem' in roots ? roots.pem : textOf(roots.path, input));
  } catch (error) {
    // a file of ours that was damaged is written anew: the roots that it had passed this guard when it was first written
    if ('path' in roots && roots.path.startsWith(own)) return [];
    return [
      `the roots of ${setting} cannot be read (${AppError.from(error).message}), so it cannot be told whom a change would lock out: repair the file`,
    ];
  }
  const kept = rootsOf(input.bundles, authority);
  const mayGo = new Set([...kept, ...retiredRootsOf(input, authority)].map(rootIdentity));
  // nothing chains to an expired root any more
  const lost = inUse.filter((root) => root.notAfter.getTime() > input.nowMs && !mayGo.has(rootIdentity(root)));
  const leaves = lost.filter(({ ca }) => !ca);
  // a leaf among the roots is believed by itself alone (RFC 5280, 6.1; crypto/x509), and goes on by the root that signed it
  const alone = leaves.filter(
    (leaf) => !kept.some(({ x509 }) => leaf.x509.checkIssued(x509) && leaf.x509.verify(x509.publicKey)),
  );
  const trusts = `trust would change: ${setting} trusts`;
  // a server that has other roots of the setting was made for this cluster, and adopts nothing again
  const advice = inUse.some((root) => mayGo.has(rootIdentity(root)))
    ? 'take it out of the file if nobody needs it; further roots are only kept when init finds them in the file of the CA'
    : "start the CA server with --adopt and the folder of the cluster's CAs, so that it goes on with them";
  const authorities = lost.filter(({ ca }) => ca);
  return [
    ...(authorities.length === 0
      ? []
      : [`${trusts} ${namesOf(authorities)}, which is no root of the server's ${authority} CA; ${advice}`]),
    ...(alone.length === 0
      ? []
      : [
          `${trusts} ${namesOf(alone)}, which is no CA but the certificate of one holder, and no root of the server's ${authority} CA signed it; have the holder use a certificate of a CA in the file, then take this one out of it, or put a root of the ${authority} CA there instead where it stands alone`,
        ]),
  ];
}

function namesOf(roots: readonly Certificate[]): string {
  return roots.map((root) => `${root.subject} (${root.publicKeyPin})`).join(', ');
}

function textOf(path: string, { trust }: Pick<PlanInput, 'trust'>): string {
  const file = trust.find((other) => other.path === path);
  if (file?.pem === undefined) throw new AppError('not-found', file?.problem || `${path} was not read`);
  return file.pem;
}
