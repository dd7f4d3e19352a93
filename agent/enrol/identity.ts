/** The node's own identity on disk: versions of key, certificate and fleet roots, switched together by one link. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { linkTarget, makeFolder, switchSymlink, syncFolder, writeAndSync } from '../../common/files/durable.ts';
import { keyMatches, parseCertificate } from '../../common/x509/certificate.ts';
import { loadKey } from '../../common/x509/keys.ts';
import type { Layout } from '../layout.ts';

/** Key, certificate and the roots that the server's certificate must end in; PEM. */
export interface Identity {
  keyPem: string;
  certificatePem: string;
  fleetRootsPem: string;
}

const FILES = { keyPem: 'identity.key', certificatePem: 'identity.crt', fleetRootsPem: 'fleet-ca.crt' } as const;

/** Reads the identity. Rejects 'not-found' when there is none and 'internal' when key and certificate do not match. */
export async function loadIdentity(layout: Layout): Promise<Identity> {
  // resolved once: a switch between two reads would pair a key with another certificate
  const target = await linkTarget(currentLink(layout));
  try {
    return await readVersion(join(layout.identityFolder, target ?? 'current'));
  } catch (error) {
    if ((await linkTarget(currentLink(layout))) !== target) return loadIdentity(layout); // it was replaced meanwhile
    throw error;
  }
}

async function readVersion(folder: string): Promise<Identity> {
  try {
    const [keyPem, certificatePem, fleetRootsPem] = await Promise.all([
      readFile(join(folder, FILES.keyPem), 'utf8'),
      readFile(join(folder, FILES.certificatePem), 'utf8'),
      readFile(join(folder, FILES.fleetRootsPem), 'utf8'),
    ]);
    if (!keyMatches(loadKey(keyPem), parseCertificate(certificatePem))) {
      throw new AppError('internal', `${folder} holds a key and a certificate that do not match; join this node again`);
    }
    return { keyPem, certificatePem, fleetRootsPem };
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new AppError('not-found', `there is no identity in ${folder}; join this node again`, { cause: error });
    }
    throw AppError.from(error);
  }
}

/** Writes a new version and makes it the current one; older versions go, and what a crash left. */
export async function saveIdentity(layout: Layout, identity: Identity): Promise<void> {
  await makeFolder(layout.identityFolder, { mode: 0o700 });
  // never the name of the version in use, even when the same certificate comes once more
  const version = `v${parseCertificate(identity.certificatePem).serial}-${randomBytes(3).toString('hex')}`;
  const folder = join(layout.identityFolder, version);
  await mkdir(folder, { mode: 0o700 });
  await writeAndSync(join(folder, FILES.keyPem), identity.keyPem, { mode: 0o600 });
  await writeAndSync(join(folder, FILES.certificatePem), identity.certificatePem, { mode: 0o644 });
  await writeAndSync(join(folder, FILES.fleetRootsPem), identity.fleetRootsPem, { mode: 0o644 });
  await syncFolder(folder);
  await switchSymlink(currentLink(layout), version);
  await removeOthers(layout, version);
}

async function removeOthers(layout: Layout, version: string): Promise<void> {
  for (const name of await readdir(layout.identityFolder)) {
    if (name === version || !(name.startsWith('v') || name.startsWith('.current.'))) continue;
    await rm(join(layout.identityFolder, name), { recursive: true, force: true });
  }
}

function currentLink(layout: Layout): string {
  return join(layout.identityFolder, 'current');
}
