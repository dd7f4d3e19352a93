/** What the change of an authority's root means for a plan. */
import type { Authority, Profile } from '../../common/names/names.ts';
import type { AuthorityRotation, PlanInput } from './plan-input.ts';

/** Certificates with which the agent itself asks components; nobody else reads them. */
const probes: ReadonlySet<Profile> = new Set(['probe-client', 'etcd-healthcheck-client']);

const settled: AuthorityRotation = { phase: 'settled', issuingPin: '', retiredPem: '' };

/** The change of root of an authority; 'settled' when the server tells none. */
export function rotationOf({ rotation }: Pick<PlanInput, 'rotation'>, authority: Authority): AuthorityRotation {
  return rotation.get(authority) ?? settled;
}

/**
 * False while the roots of a CA whose key the server does not have are joined by ours: no leaf can be issued yet that everybody
 * trusts, so those that are there stay, and the settings that name them.
 */
export function issuesLeaves(input: Pick<PlanInput, 'rotation'>, authority: Authority): boolean {
  const { phase, issuingPin } = rotationOf(input, authority);
  return phase !== 'trust' || issuingPin !== '';
}

/** True for a certificate of the agent's own, which in the phase trust comes from the new CA already. */
export function isProbe(profile: Profile): boolean {
  return probes.has(profile);
}
