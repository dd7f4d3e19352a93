/** The authorities as operators see them. */
import { authorities as words } from '../../common/names/names.ts';
import type { Authorities } from '../authority/authorities.ts';
import type { AuthorityView } from './summaries.ts';

/** One view an authority. */
export function authorityViews(authorities: Authorities): AuthorityView[] {
  return words.all.map((authority) => {
    const { subject, serial, notAfter, publicKeyPin } = authorities.certificate(authority);
    const imported = authorities.imported(authority);
    return { authority, subject, serial, notAfterMs: notAfter.getTime(), imported, publicKeyPin };
  });
}
