/**
 * The CAs on disk, in STATE/ca. AUTHORITY.crt and AUTHORITY.key are the CA that init made or imported, AUTHORITY-PIN.crt and
 * AUTHORITY-PIN.key one that came later, or whose root is only trusted and that has no key here; authorities.json says that
 * init made them all. Which of them counts stands in the store.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { removeDurably, writeFileDurably } from '../../common/files/durable.ts';
import { type Authority, authorities } from '../../common/names/names.ts';
import { type Certificate, keyMatches, parseCertificates } from '../../common/x509/certificate.ts';
import { encryptKey, loadKey, type PrivateKey } from '../../common/x509/keys.ts';
import { authorityFolder } from '../config/server-layout.ts';

/** How the keys of CAs are encrypted. */
export interface KeyLock {
  passphrase: string;
  /** Rounds of PBKDF2; only tests, whose keys protect nothing, ask for fewer than encryptKey's own. Read from no file and no variable. */
  iterations?: number | undefined;
}

/** A CA as it is kept: its own certificate first, then other roots that its users have to trust. */
export interface StoredAuthority {
  roots: [Certificate, ...Certificate[]];
  key: PrivateKey;
}

/** A CA whose key may be somebody else's, or gone. */
export interface StoredCa {
  roots: [Certificate, ...Certificate[]];
  key: PrivateKey | undefined;
  /** Where its key is, or would be. */
  keyFile: string;
}

const listSchema = z.strictObject({ imported: z.array(z.enum(authorities.all)) });
/** Digits of the pin in a file's name. */
const PIN_DIGITS = 16;

/** Writes the CA of init: the key first, so that a certificate on disk always has its key. The files are the owner's alone to read. */
export async function writeAuthority(
  stateFolder: string,
  authority: Authority,
  stored: StoredAuthority,
  lock: KeyLock,
): Promise<void> {
  await writeCa(filesOf(stateFolder, authority), stored, lock);
}

/**
 * Writes a further CA, or a root that is only trusted, under the name that its key gives it.
 *
 * @returns where its key is, or would be
 */
export async function writeFurtherCa(
  stateFolder: string,
  authority: Authority,
  ca: Pick<StoredCa, 'roots' | 'key'>,
  lock: KeyLock,
): Promise<string> {
  const files = filesOf(stateFolder, furtherStem(authority, ca.roots[0].publicKeyPin));
  await writeCa(files, ca, lock);
  return files.keyFile;
}

/**
 * Reads the CA of init, or returns undefined when there is none (or only a key, which a crash left).
 *
 * @throws AppError unavailable when its files cannot be used, with what to do
 */
export async function readAuthority(
  stateFolder: string,
  authority: Authority,
  passphrase: string,
): Promise<StoredAuthority | undefined> {
  const ca = await readCa(filesOf(stateFolder, authority), passphrase);
  if (ca === undefined) return undefined;
  if (ca.key === undefined) throw missingKey(ca.keyFile);
  return { roots: ca.roots, key: ca.key };
}

/**
 * Reads all CAs of an authority, the one of init first; their keys may be missing. Empty before init.
 *
 * @throws AppError unavailable when a file cannot be used, with what to do
 */
export async function readCas(stateFolder: string, authority: Authority, passphrase: string): Promise<StoredCa[]> {
  const stems = [authority, ...(await furtherStems(stateFolder, authority))];
  const cas = await Promise.all(stems.map((stem) => readCa(filesOf(stateFolder, stem), passphrase)));
  return cas[0] === undefined ? [] : cas.filter((ca) => ca !== undefined);
}

/** Removes the files of further CAs that a start of a rotation left before it counted. */
export async function removeStrays(
  stateFolder: string,
  authority: Authority,
  knownPins: readonly string[],
): Promise<void> {
  const known = knownPins.map((pin) => furtherStem(authority, pin));
  for (const stem of await furtherStems(stateFolder, authority)) {
    if (known.includes(stem)) continue;
    const { certFile, keyFile } = filesOf(stateFolder, stem);
    await removeDurably(certFile);
    await removeDurably(keyFile);
  }
}

/** Why a CA cannot sign: its key should be there. */
export function missingKey(keyFile: string): AppError {
  return unusable(keyFile, 'it is missing: restore it from the backup');
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
    if (isMissing(error)) return undefined;
    throw new AppError('unavailable', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

interface CaFiles {
  certFile: string;
  keyFile: string;
}

async function writeCa(files: CaFiles, ca: Pick<StoredCa, 'roots' | 'key'>, lock: KeyLock): Promise<void> {
  if (ca.key !== undefined) {
    await writeFileDurably(files.keyFile, encryptKey(ca.key, lock.passphrase, lock.iterations), { mode: 0o600 });
  }
  await writeFileDurably(files.certFile, ca.roots.map((root) => root.pem).join(''), { mode: 0o644 });
}

async function readCa({ certFile, keyFile }: CaFiles, passphrase: string): Promise<StoredCa | undefined> {
  const certPem = await readIfThere(certFile);
  if (certPem === undefined) return undefined;
  const keyPem = await readIfThere(keyFile);
  try {
    const [certificate, ...others] = parseCertificates(certPem);
    if (certificate === undefined) throw unusable(certFile, 'it is empty: restore it from the backup');
    if (keyPem === undefined) return { roots: [certificate, ...others], key: undefined, keyFile };
    if (!keyPem.includes('ENCRYPTED PRIVATE KEY')) throw unusable(keyFile, 'it is not encrypted: restore the backup');
    const key = loadKey(keyPem, passphrase);
    if (!keyMatches(key, certificate)) {
      throw unusable(keyFile, `it is not the key of ${certFile}: restore both from one backup`);
    }
    return { roots: [certificate, ...others], key, keyFile };
  } catch (error) {
    if (error instanceof AppError && error.reason === 'unavailable') throw error;
    throw unusable(keyFile, messageOf(error), error);
  }
}

/** Names of further CAs without their ending; also of those of which a crash left one file only. */
async function furtherStems(stateFolder: string, authority: Authority): Promise<string[]> {
  const pattern = new RegExp(`^(${authority}-[0-9a-f]{${PIN_DIGITS}})\\.(crt|key)$`);
  let names: string[];
  try {
    names = await readdir(authorityFolder(stateFolder));
  } catch (error) {
    if (isMissing(error)) return [];
    throw new AppError('unavailable', `cannot read ${authorityFolder(stateFolder)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return [...new Set(names.flatMap((name) => pattern.exec(name)?.[1] ?? []))].sort();
}

function furtherStem(authority: Authority, pin: string): string {
  return `${authority}-${pin.replace(/^sha256:/, '').slice(0, PIN_DIGITS)}`;
}

function filesOf(stateFolder: string, stem: string): CaFiles {
  const folder = authorityFolder(stateFolder);
  return { keyFile: join(folder, `${stem}.key`), certFile: join(folder, `${stem}.crt`) };
}

function listFile(stateFolder: string): string {
  return join(authorityFolder(stateFolder), 'authorities.json');
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function unusable(path: string, why: string, cause?: unknown): AppError {
  return new AppError('unavailable', `cannot use ${path}: ${why}`, { cause });
}
