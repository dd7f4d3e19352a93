/** The passphrase of the CA keys: made once, and never beside keys that another one encrypts. */
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { makeFolder } from '../../common/files/durable.ts';
import { readIfThere } from '../authority/authority-files.ts';
import { makePassphrase, readPassphrase } from '../authority/passphrase.ts';
import { authorityFolder } from '../config/server-layout.ts';

/**
 * The passphrase in the file, which is made unless it is there.
 *
 * @throws AppError unavailable when the file is missing or empty while there are keys in the state folder
 */
export async function ensurePassphrase(file: string, stateFolder: string): Promise<string> {
  if ((await readIfThere(file)) === undefined) {
    const keys = await keysIn(authorityFolder(stateFolder));
    if (keys.length > 0) {
      throw new AppError(
        'unavailable',
        `${file} is missing, while ${authorityFolder(stateFolder)} has keys that it opens (${keys.join(', ')}): restore it from the backup`,
      );
    }
    await makeFolder(dirname(file), { mode: 0o755 });
    await makePassphrase(file);
  }
  return await readPassphrase({ configured: file, credentialsFolder: undefined, fallback: file });
}

async function keysIn(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((name) => name.endsWith('.key')).sort();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw new AppError('unavailable', `cannot read ${folder}: ${messageOf(error)}`, { cause: error });
  }
}
