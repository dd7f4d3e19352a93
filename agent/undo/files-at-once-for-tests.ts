/**
 * For the crash tests: node:fs/promises that does each call at once on this thread, without the thread pool. The same calls reach the
 * disk in the same order; what is saved is the way to a thread and back, which is most of what a call on a small file costs.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';

const PLAIN = [
  'link',
  'lstat',
  'mkdir',
  'mkdtemp',
  'readFile',
  'readdir',
  'readlink',
  'rename',
  'rm',
  'rmdir',
  'statfs',
  'symlink',
  'writeFile',
] as const;

/** Whom each fsync waits for: at a power cut it never comes back. */
export interface SyncWatcher {
  syncing?: ((fd: number) => Promise<void>) | undefined;
}

/**
 * Replaces the calls that a change makes, for the rest of this process and in every module of it. Others stay as they are.
 *
 * @param watcher may watch something else each time it is asked
 */
export function answerFilesAtOnce(watcher: SyncWatcher = {}): void {
  for (const name of PLAIN) {
    const call: (...given: never[]) => unknown = fs[`${name}Sync`];
    Object.assign(promises, { [name]: async (...given: never[]) => call(...given) });
  }
  Object.assign(promises, { open: (...given: Parameters<typeof fs.openSync>) => open(watcher, ...given) });
  Object.assign(promises, {
    opendir: async (...given: Parameters<typeof fs.opendirSync>) => entries(fs.opendirSync(...given)),
  });
  syncBuiltinESMExports();
}

/** As much of a Dir as our code uses. */
async function* entries(folder: fs.Dir) {
  try {
    for (let entry = folder.readSync(); entry !== null; entry = folder.readSync()) yield entry;
  } finally {
    folder.closeSync();
  }
}

/** As much of a FileHandle as our code uses. */
async function open(watcher: SyncWatcher, ...given: Parameters<typeof fs.openSync>) {
  const fd = fs.openSync(...given);
  return {
    fd,
    stat: async () => fs.fstatSync(fd),
    read: async (buffer: Buffer, offset: number, length: number, position: number | null) => ({
      bytesRead: fs.readSync(fd, buffer, offset, length, position),
      buffer,
    }),
    writeFile: async (content: string | Uint8Array) => fs.writeFileSync(fd, content),
    chmod: async (mode: number) => fs.fchmodSync(fd, mode),
    chown: async (uid: number, gid: number) => fs.fchownSync(fd, uid, gid),
    sync: async () => {
      await watcher.syncing?.(fd);
      fs.fsyncSync(fd);
    },
    close: async () => fs.closeSync(fd),
  };
}
