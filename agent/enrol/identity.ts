/** The node's own identity on disk: versions of key, certificate and fleet roots, switched together by one link. */
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
  const folder = join(layout.identityFolder, 'current');
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

/** Writes a new version and makes it the current one; older versions go. */
export async function saveIdentity(layout: Layout, identity: Identity): Promise<void> {
  await makeFolder(layout.identityFolder, { mode: 0o700 });
  const version = `v${parseCertificate(identity.certificatePem).serial}`;
  const folder = join(layout.identityFolder, version);
  await rm(folder, { recursive: true, force: true }); // of an attempt that was interrupted
  await mkdir(folder, { mode: 0o700 });
  await writeAndSync(join(folder, FILES.keyPem), identity.keyPem, { mode: 0o600 });
  await writeAndSync(join(folder, FILES.certificatePem), identity.certificatePem, { mode: 0o644 });
  await writeAndSync(join(folder, FILES.fleetRootsPem), identity.fleetRootsPem, { mode: 0o644 });
  await syncFolder(folder);
  await switchSymlink(join(layout.identityFolder, 'current'), version);
  await removeOthers(layout, version);
}

async function removeOthers(layout: Layout, version: string): Promise<void> {
  const current = await linkTarget(join(layout.identityFolder, 'current'));
  for (const name of await readdir(layout.identityFolder)) {
    if (!name.startsWith('v') || name === version || name === current) continue;
    await rm(join(layout.identityFolder, name), { recursive: true, force: true });
  }
}
