/** Certificates and encrypted keys of the authorities on disk: STATE/ca/AUTHORITY.crt, AUTHORITY.key, authorities.json. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { writeFileDurably } from '../../common/files/durable.ts';
import { type Authority, authorities } from '../../common/names/names.ts';
import { type Certificate, keyMatches, parseCertificates } from '../../common/x509/certificate.ts';
import { encryptKey, loadKey, type PrivateKey } from '../../common/x509/keys.ts';
import { authorityFolder } from '../config/server-layout.ts';

/** An authority as it is kept: its own certificate first, then other roots that its users have to trust. */
export interface StoredAuthority {
  roots: [Certificate, ...Certificate[]];
  key: PrivateKey;
}

const listSchema = z.strictObject({ imported: z.array(z.enum(authorities.all)) });

/** Writes the key first, so that a certificate on disk always has its key. The files are the owner's alone to read. */
export async function writeAuthority(
  stateFolder: string,
  authority: Authority,
  { roots, key }: StoredAuthority,
  passphrase: string,
): Promise<void> {
  const { keyFile, certFile } = filesOf(stateFolder, authority);
  await writeFileDurably(keyFile, encryptKey(key, passphrase), { mode: 0o600 });
  await writeFileDurably(certFile, roots.map((root) => root.pem).join(''), { mode: 0o644 });
}

/**
 * Reads an authority, or returns undefined when there is none (or only a key, which a crash left).
 *
 * @throws AppError unavailable when its files cannot be used, with what to do
 */
export async function readAuthority(
  stateFolder: string,
  authority: Authority,
  passphrase: string,
): Promise<StoredAuthority | undefined> {
  const { keyFile, certFile } = filesOf(stateFolder, authority);
  const certPem = await readIfThere(certFile);
  if (certPem === undefined) return undefined;
  const keyPem = await readIfThere(keyFile);
  if (keyPem === undefined) throw unusable(keyFile, 'it is missing: restore it from the backup');
  try {
    if (!keyPem.includes('ENCRYPTED PRIVATE KEY')) throw unusable(keyFile, 'it is not encrypted: restore the backup');
    const [certificate, ...others] = parseCertificates(certPem);
    const key = loadKey(keyPem, passphrase);
    if (certificate === undefined || !keyMatches(key, certificate)) {
      throw unusable(keyFile, `it is not the key of ${certFile}: restore both from one backup`);
    }
    return { roots: [certificate, ...others], key };
  } catch (error) {
    if (error instanceof AppError && error.reason === 'unavailable') throw error;
    throw unusable(keyFile, messageOf(error), error);
  }
}

/** Records which authorities came from an existing cluster; the last step of making them. */
export async function writeImported(stateFolder: string, imported: readonly Authority[]): Promise<void> {
  await writeFileDurably(listFile(stateFolder), `${JSON.stringify({ imported }, undefined, 2)}\n`, { mode: 0o644 });
}

/** Which authorities came from an existing cluster; undefined before they were all made. Rejects 'unavailable' for a damaged file. */
export async function readImported(stateFolder: string): Promise<Authority[] | undefined> {
  const text = await readIfThere(listFile(stateFolder));
  if (text === undefined) return undefined;
  try {
    return listSchema.parse(JSON.parse(text)).imported;
  } catch (error) {
    throw unusable(listFile(stateFolder), 'it is damaged: restore it from the backup', error);
  }
}

/** The text of a file, or undefined when there is none. Rejects 'unavailable' when it cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new AppError('unavailable', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function filesOf(stateFolder: string, authority: Authority): { keyFile: string; certFile: string } {
  const folder = authorityFolder(stateFolder);
  return { keyFile: join(folder, `${authority}.key`), certFile: join(folder, `${authority}.crt`) };
}

function listFile(stateFolder: string): string {
  return join(authorityFolder(stateFolder), 'authorities.json');
}

function unusable(path: string, why: string, cause?: unknown): AppError {
  return new AppError('unavailable', `cannot use ${path}: ${why}`, { cause });
}
