/** The passphrase that opens the CA keys: from a systemd credential or from a file that only root reads. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../../common/errors/app-error.ts';
import { writeFileDurably } from '../../common/files/durable.ts';
import { readIfThere } from './authority-files.ts';

/** Where to look. */
export interface PassphraseSources {
  /** passphraseFile of the configuration: nothing else is looked at when it is given. */
  configured: string | undefined;
  /** $CREDENTIALS_DIRECTORY of systemd (LoadCredential=ca-passphrase:…). */
  credentialsFolder: string | undefined;
  /** /etc/kube-mtls/ca-passphrase. */
  fallback: string;
}

/** Reads the passphrase; whitespace at its end does not count. Rejects 'not-found' with where it was looked for. */
export async function readPassphrase(sources: PassphraseSources): Promise<string> {
  const { configured, credentialsFolder, fallback } = sources;
  const credential = credentialsFolder === undefined ? [] : [join(credentialsFolder, 'ca-passphrase')];
  const files = configured === undefined ? [...credential, fallback] : [configured];
  for (const file of files) {
    const passphrase = (await readIfThere(file))?.trimEnd();
    if (passphrase === '') throw new AppError('unavailable', `${file} is empty: restore the passphrase of the CA keys`);
    if (passphrase !== undefined) return passphrase;
  }
  throw new AppError('not-found', `there is no passphrase of the CA keys: looked for ${files.join(', ')}`);
}

/** Makes the file with 256 random bits unless it is there; only root reads it. */
export async function makePassphrase(file: string): Promise<void> {
  if ((await readIfThere(file)) !== undefined) return;
  await writeFileDurably(file, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
}
