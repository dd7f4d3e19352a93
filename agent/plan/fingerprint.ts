/** One hash for what a change does, so that a wish that failed is known again. */
import { createHash } from 'node:crypto';
import type { Authority } from '../../common/names/names.ts';
import type { ComponentChange } from './change.ts';

/**
 * SHA-256, hexadecimal, over the texts of the files, the slots with their names and kinds of keys, the roots and the peer URLs. Identifiers,
 * times and reasons are not in it: tomorrow's plan of the same wish has the same fingerprint.
 */
export function fingerprint(components: readonly ComponentChange[], bundles: ReadonlyMap<Authority, string>): string {
  const facts = components.map((change) => [
    change.component,
    change.target,
    change.files.map(({ path, after }) => [path, after.text, after.mode, after.uid, after.gid]),
    change.slots.map(({ profile, file, dnsNames, ipAddresses, key }) => {
      const names = [profile, file, dnsNames, ipAddresses];
      return key === undefined ? names : [...names, key.kind];
    }),
    change.bundles.map(({ authority, file }) => [file, authority, bundles.get(authority) ?? '']),
    change.memberUpdate?.after ?? [],
  ]);
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex');
}
