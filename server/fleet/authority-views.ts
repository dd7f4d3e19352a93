/** The authorities as operators see them. */
import { authorities as words } from '../../common/names/names.ts';
import type { Authorities } from '../authority/authorities.ts';
import type { AuthorityView } from './summaries.ts';

/** One view a root that is trusted, the newest of each authority first. */
export function authorityViews(authorities: Pick<Authorities, 'all'>): AuthorityView[] {
  return words.all.flatMap((authority) =>
    authorities
      .all(authority)
      .filter((ca) => ca.trusted)
      .map(({ certificate: { subject, serial, notAfter, publicKeyPin }, imported, hasKey }) => {
        // a root without a key of ours can only have come with a cluster
        return {
          authority,
          subject,
          serial,
          notAfterMs: notAfter.getTime(),
          imported: imported || !hasKey,
          publicKeyPin,
        };
      }),
  );
}
