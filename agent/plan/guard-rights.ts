/** The guard that a controller manager keeps the rights that its controllers work with. */
import type { DetectedManager, Problem } from '../detect/detected.ts';
import { lastFlag } from '../detect/flags.ts';
import { componentFolder } from '../layout.ts';
import type { PlanInput } from './plan-input.ts';
import { issuesLeaves } from './rotation.ts';
import { readServed } from './served-certificate.ts';

/** User of our certificate; Kubernetes binds it to a role that creates tokens for the controllers, and can do little else. */
const user = 'system:kube-controller-manager';

/**
 * Without --use-service-account-credentials every controller works as the user of the kubeconfig. Where that one has more rights,
 * O=system:masters mostly, they end with it, and nothing in the cluster is reconciled any more, while the process is well.
 */
export function guardRights({ component, effectiveFlags, kubeconfigs }: DetectedManager, input: PlanInput): Problem[] {
  if (component !== 'kube-controller-manager' || !issuesLeaves(input, 'kubernetes')) return [];
  if (lastFlag(effectiveFlags, 'use-service-account-credentials') === 'true') return [];
  const ours = `${componentFolder(input.layout, component)}/`;
  const place = kubeconfigs[0] === undefined ? {} : { path: kubeconfigs[0].path };
  const found = input.detected.certificates.filter(
    ({ path, consumer, missing }) =>
      !path.startsWith(ours) &&
      missing !== true &&
      /^kube-controller-manager --kubeconfig client-certificate(-data)?$/.test(consumer),
  );
  const unreadable = found.find(({ certificatePem }) => certificatePem === undefined);
  if (unreadable !== undefined) {
    const message = `the client certificate of its kubeconfig cannot be read (${unreadable.problem}), so it cannot be told with whose rights its controllers work: repair it, or set --use-service-account-credentials=true`;
    return [{ component, message, ...place }];
  }
  const shown = found
    .flatMap(({ certificatePem }) => (certificatePem === undefined ? [] : [readServed(certificatePem)]))
    .find(({ commonName, organizations }) => commonName !== user || organizations.some((name) => name !== user));
  if (shown === undefined) return [];
  const message = `its controllers work as "${shown.subject}", and would lose the rights of that user: set --use-service-account-credentials=true first`;
  return [{ component, message, ...place }];
}
