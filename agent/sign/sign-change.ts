/** Has the keys of a change certified by the server, and believes nothing that it answers before it was checked. */
import { AppError } from '../../common/errors/app-error.ts';
import { authorities, profiles } from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { IssueCertificatesResponse } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import type { KeyedChange } from '../keys/make-keys.ts';
import type { ServerLink } from '../link/server-link.ts';
import { checkSigned, type SignedChange } from './signed-change.ts';

/** Dependencies. */
export interface SignDeps {
  link: ServerLink;
  clock: Clock;
}

/**
 * One call for all certificates of the change: the server issues all of them or none.
 *
 * @throws AppError policy-refused naming what was refused, unavailable, or 'invalid-request' when the answer is not what was asked for
 */
export async function signChange(deps: SignDeps, keyed: KeyedChange, signal: AbortSignal): Promise<SignedChange> {
  const response = await ask(deps, keyed, signal);
  const issued = response.certificates.map(({ profile, certificatePem }) => {
    const word = profiles.toWord(profile);
    if (word === undefined) throw new AppError('invalid-request', 'the server answered with an unknown profile');
    return { profile: word, certificatePem };
  });
  const bundles = response.bundles.flatMap(({ authority, rootsPem }) => {
    const word = authorities.toWord(authority);
    return word === undefined ? [] : [{ authority: word, rootsPem }];
  });
  return checkSigned(keyed, issued, bundles, deps.clock.nowMs());
}

/** A change of trust alone has no certificates, and a batch must have one at least. */
async function ask(
  { link }: SignDeps,
  keyed: KeyedChange,
  signal: AbortSignal,
): Promise<Pick<IssueCertificatesResponse, 'certificates' | 'bundles'>> {
  const { certificates } = await link.calls();
  const options = { signal, deadlineMs: 30_000 };
  if (keyed.keys.length === 0) {
    const { bundles } = await certificates.getTrustBundles({}, options);
    return { certificates: [], bundles };
  }
  return certificates.issueCertificates(
    {
      changeId: keyed.change.changeId,
      requests: keyed.keys.map(({ slot, csrPem }) => ({
        profile: profiles.toNumber(slot.profile),
        csr: new TextEncoder().encode(csrPem),
      })),
    },
    options,
  );
}
