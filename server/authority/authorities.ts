/** The certificate authorities of the server, opened. Only server/issue asks for a signer. */
import { AppError } from '../../common/errors/app-error.ts';
import { type Authority, authorities as words } from '../../common/names/names.ts';
import type { Certificate } from '../../common/x509/certificate.ts';
import type { Signer } from '../../common/x509/sign.ts';
import { readAuthority, readImported } from './authority-files.ts';

/** All authorities. */
export interface Authorities {
  /** Certificate and key; for signing an Approval and nothing else. */
  signer(authority: Authority): Signer;
  certificate(authority: Authority): Certificate;
  /** What users of the authority have to trust, its own certificate first. */
  roots(authority: Authority): Certificate[];
  /** The roots as PEM. */
  rootsPem(authority: Authority): string;
  /** True when it was imported from an existing cluster. */
  imported(authority: Authority): boolean;
}

/**
 * Opens all authorities, each of which takes some 0.1 s.
 *
 * @throws AppError not-found before init has made them, unavailable when one cannot be used or the passphrase is wrong
 */
export async function loadAuthorities(stateFolder: string, passphrase: string): Promise<Authorities> {
  const imported = await readImported(stateFolder);
  if (imported === undefined) {
    throw new AppError('not-found', `there are no authorities in ${stateFolder}: run kube-mtls-server init first`);
  }
  const entries = await Promise.all(
    words.all.map(async (authority) => {
      const stored = await readAuthority(stateFolder, authority, passphrase);
      if (stored !== undefined) return [authority, stored] as const;
      throw new AppError('unavailable', `the ${authority} CA is missing in ${stateFolder}: restore it from the backup`);
    }),
  );
  const byName = new Map(entries);
  const of = (authority: Authority) => {
    const stored = byName.get(authority);
    if (stored === undefined) throw new TypeError(`no authority ${authority}`); // all were loaded above
    return stored;
  };
  return {
    signer: (authority) => ({ certificate: of(authority).roots[0], key: of(authority).key }),
    certificate: (authority) => of(authority).roots[0],
    roots: (authority) => [...of(authority).roots],
    rootsPem: (authority) =>
      of(authority)
        .roots.map((root) => root.pem)
        .join(''),
    imported: (authority) => imported.includes(authority),
  };
}
