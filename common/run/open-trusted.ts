/** Programs that nobody but root can have put where they are: what is not may be anybody's, and is not run as root. */
import { constants, type Stats } from 'node:fs';
import { access, type FileHandle, lstat, open, readlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { AppError, messageOf } from '../errors/app-error.ts';

/** Where systemd looks for a program without a path (systemd.exec(5), ExecSearchPath=). */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];
/** As many links as the kernel follows (path_resolution(7)). */
const MOST_LINKS = 40;
/** Write permission of the group and of everybody. With an ACL the group's bits are the most that any entry of it may do (acl(5)). */
const WRITABLE_FOR_OTHERS = 0o022;
const ELF = Buffer.from('\x7fELF');

/**
 * Opens a program to be executed as /proc/self/fd/N: what was looked at is what runs, whatever stands at the path by then.
 *
 * The file and every folder on the way to it, also on the way of links, have to belong to root and be writable for nobody else;
 * sticky folders are writable. They are looked at from / downwards, so that what comes next cannot be swapped meanwhile. Scripts
 * are refused: their interpreter, which could be anybody's, would be looked for anew.
 *
 * @param program - absolute path, or a plain name for systemd's search path
 * @throws AppError 'policy-refused' that names what others may write, or a file that is no ELF program; 'not-found' without a program
 */
export async function openTrusted(program: string): Promise<FileHandle> {
  try {
    const path = await resolveTrusted(isAbsolute(program) ? program : await search(program));
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      await refuseUntrusted(file, path);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError('not-found', `${program} cannot be opened: ${messageOf(error)}`, { cause: error });
  }
}

/** The path without links. */
async function resolveTrusted(path: string): Promise<string> {
  let folder = '/';
  refuseOthers(await lstat(folder), folder);
  let names = partsOf(path);
  for (let links = 0; ; ) {
    const [name, ...rest] = names;
    if (name === undefined) throw new AppError('policy-refused', `${path} is a folder`);
    const next = name === '..' ? dirname(folder) : join(folder, name);
    const stats = await lstat(next);
    if (stats.isSymbolicLink()) {
      if (++links > MOST_LINKS) throw new AppError('policy-refused', `${path} leads through too many links`);
      const target = await readlink(next);
      if (isAbsolute(target)) folder = '/';
      names = [...partsOf(target), ...rest];
    } else if (rest.length === 0 && !stats.isDirectory()) {
      return next;
    } else {
      refuseOthers(stats, next);
      folder = next;
      names = rest;
    }
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.');
}

async function refuseUntrusted(file: FileHandle, path: string): Promise<void> {
  const stats = await file.stat();
  if (!stats.isFile()) throw new AppError('policy-refused', `${path} is no regular file`);
  refuseOthers(stats, path);
  // root alone could have moved it since it was found, and then somebody else's folder may be on its way
  if ((await readlink(`/proc/self/fd/${file.fd}`)) !== path) {
    throw new AppError('policy-refused', `${path} was moved while it was looked at`);
  }
  const { buffer, bytesRead } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
  if (bytesRead < ELF.length || !buffer.equals(ELF)) {
    throw new AppError('policy-refused', `${path} is no ELF program, but a script or something else`);
  }
}

function refuseOthers({ uid, mode }: Stats, path: string): void {
  if (uid !== 0) {
    throw new AppError('policy-refused', `${path} belongs to user ${uid}, who could put another program there`);
  }
  if ((mode & WRITABLE_FOR_OTHERS) !== 0) {
    const bits = (mode & 0o7777).toString(8).padStart(4, '0');
    throw new AppError('policy-refused', `${path} is writable for others than root (mode ${bits})`);
  }
}

/** The first that is there. */
async function search(name: string): Promise<string> {
  for (const folder of SYSTEM_FOLDERS) {
    const path = join(folder, basename(name));
    const isThere = await access(path).then(
      () => true,
      () => false,
    );
    if (isThere) return path;
  }
  throw new AppError('not-found', `there is no program ${name} in ${SYSTEM_FOLDERS.join(', ')}`);
}
