/** Makes what authorities are missing, new or from an existing cluster. Never overwrites one. */
import { AppError } from '../../common/errors/app-error.ts';
import { makeFolder } from '../../common/files/durable.ts';
import { type Authority, authorities } from '../../common/names/names.ts';
import { authorityFolder } from '../config/server-layout.ts';
import { readAuthority, readImported, type StoredAuthority, writeAuthority, writeImported } from './authority-files.ts';
import { importAuthority } from './import-authority.ts';
import { fleetName, newAuthority } from './new-authority.ts';

/** What to make. */
export interface MakeAuthoritiesOptions {
  stateFolder: string;
  passphrase: string;
  /** See KeyLock. */
  keyIterations?: number | undefined;
  clusterName: string;
  /** Folder of the cluster's PKI, "/etc/kubernetes/pki", or undefined to make all new. */
  adoptFolder: string | undefined;
  /** True when the cluster trusts other roots and shall move to the new ones. */
  successors?: boolean;
  nowMs: number;
}

/**
 * Makes authorities until all are there; the same call again after a crash goes on where it stopped.
 *
 * @returns sentences for the operator about what is worth knowing
 * @throws AppError invalid-request for an authority that cannot be adopted, conflict when others are there already;
 * nothing was written then
 */
export async function makeAuthorities(options: MakeAuthoritiesOptions): Promise<string[]> {
  const { stateFolder, passphrase, keyIterations, adoptFolder, nowMs } = options;
  const existing = new Map<Authority, StoredAuthority>();
  const adopted = new Map<Authority, StoredAuthority>();

  // 1. read and judge everything before anything is written
  for (const authority of authorities.all) {
    const stored = await readAuthority(stateFolder, authority, passphrase);
    if (stored !== undefined) existing.set(authority, stored);
    const offered =
      adoptFolder === undefined || authority === 'fleet'
        ? undefined
        : await importAuthority(adoptFolder, authority, nowMs);
    if (offered !== undefined) adopted.set(authority, offered);
    assertSame(authority, stored, offered, options);
  }
  if (adoptFolder !== undefined && !adopted.has('kubernetes')) {
    throw new AppError(
      'invalid-request',
      `there is no ca.crt and ca.key in ${adoptFolder}: give the folder of the cluster's CAs`,
    );
  }

  // 2. make what is missing
  await makeFolder(authorityFolder(stateFolder), { mode: 0o700 });
  for (const authority of authorities.all) {
    if (existing.has(authority)) continue;
    const made = adopted.get(authority) ?? (await madeNew(authority, options));
    await writeAuthority(stateFolder, authority, made, { passphrase, iterations: keyIterations });
  }

  // 3. the list says that all are there
  const before = await readImported(stateFolder);
  if (before === undefined) await writeImported(stateFolder, [...adopted.keys()]);
  return notesOf(adopted, adoptFolder);
}

function assertSame(
  authority: Authority,
  stored: StoredAuthority | undefined,
  offered: StoredAuthority | undefined,
  { stateFolder, clusterName, adoptFolder }: MakeAuthoritiesOptions,
): void {
  if (stored === undefined) return;
  const [certificate] = stored.roots;
  const another = 'move that folder away if its CAs are not needed any more, or give the options it was made with';
  if (authority === 'fleet' && certificate.commonName !== fleetName(clusterName)) {
    throw new AppError('conflict', `${stateFolder} belongs to "${certificate.commonName}": ${another}`);
  }
  if (offered !== undefined && offered.roots[0].sha256 !== certificate.sha256) {
    throw new AppError('conflict', `${stateFolder} has another ${authority} CA than ${adoptFolder}: ${another}`);
  }
}

async function madeNew(authority: Authority, options: MakeAuthoritiesOptions): Promise<StoredAuthority> {
  const { nowMs, clusterName, successors = false } = options;
  const successor = successors && authority !== 'fleet';
  const { certificate, key } = await newAuthority(authority, { nowMs, clusterName, successor });
  return { roots: [certificate], key };
}

function notesOf(adopted: ReadonlyMap<Authority, StoredAuthority>, adoptFolder: string | undefined): string[] {
  if (adoptFolder === undefined) return [];
  const notes: string[] = [];
  const missing = (['etcd', 'front-proxy'] as const).filter((authority) => !adopted.has(authority));
  for (const authority of missing) notes.push(`${adoptFolder} has no ${authority} CA: a new one was made`);
  const pinOf = (authority: Authority) => adopted.get(authority)?.roots[0].publicKeyPin;
  if (pinOf('front-proxy') !== undefined && pinOf('front-proxy') === pinOf('kubernetes')) {
    notes.push(
      'the front-proxy CA is the kubernetes CA: keep --requestheader-allowed-names strict, or anybody can be anybody',
    );
  }
  return notes;
}
