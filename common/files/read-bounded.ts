/** Reading files that somebody else chose or writes to: never more than a limit, whatever their size says, and nothing without end. */
import { constants, type Stats } from 'node:fs';
import { type FileHandle, open, opendir, statfs } from 'node:fs/promises';

/** As much of a FileHandle as is read with. */
export type ReadableFile = Pick<FileHandle, 'read'>;

/** What stands at a path. */
export type BoundedFile =
  | { kind: 'file'; content: Buffer; stats: Stats }
  /** A regular file of more than the limit, or one that grew over it while it was read. */
  | { kind: 'too-large'; stats: Stats }
  /** A regular file that the kernel makes up as it is read, as in /proc and /sys. */
  | { kind: 'made-up'; stats: Stats }
  /** A folder, pipe, socket or device. */
  | { kind: 'other'; stats: Stats };

/** open(2): a descriptor that only says which file it is; the same number on amd64 and arm64, and missing in Node.js' constants. */
const O_PATH = 0o10000000;
/** Room for what most files hold; what holds more gets twice as much each time. */
const FIRST_BYTES = 4 * 1024;
/** Names that are fetched at a time. */
const NAMES_AT_A_TIME = 256;

/** File systems that hold no files but the kernel's answers (statfs(2); linux/magic.h and the sources of the last four). */
const MADE_UP: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x62656572, // sysfs
  0x64626720, // debugfs
  0x74726163, // tracefs
  0x73636673, // securityfs
  0x27e0eb, // cgroup
  0x63677270, // cgroup2
  0xcafe4a11, // bpf
  0x6165676c, // pstore
  0xde5e81e4, // efivarfs
  0xf97cff8c, // selinuxfs
  0x43415d53, // smackfs
  0x42494e4d, // binfmt_misc
  0x1cd1, // devpts
  0x6e736673, // nsfs
  0x50494446, // pidfs
  0x9041934, // anonymous inodes
  0x7655821, // resctrl
  0x958458f6, // hugetlbfs
  0x62656570, // configfs
  0x65735543, // fusectl
  0x19800202, // mqueue
  0x67596969, // rpc_pipefs
]);

/**
 * Reads a file of at most so many bytes. What is no regular file is not even opened: a named pipe would be waited for, and some
 * devices act when they are opened.
 *
 * @param flags - O_NOFOLLOW, which makes a symbolic link at the end of the path an 'other'
 * @throws the file system's error
 */
export async function readBounded(path: string, mostBytes: number, flags = 0): Promise<BoundedFile> {
  const found = await open(path, O_PATH | flags);
  try {
    const stats = await found.stat();
    if (!stats.isFile()) return { kind: 'other', stats };
    if (await isMadeUp(found)) return { kind: 'made-up', stats };
    if (stats.size > mostBytes) return { kind: 'too-large', stats };
    const content = await readStart(`/proc/self/fd/${found.fd}`, mostBytes + 1);
    return content.length > mostBytes ? { kind: 'too-large', stats } : { kind: 'file', content, stats };
  } finally {
    await found.close();
  }
}

/** The next bytes of a file: so many, or fewer where it ends. */
export async function readUpTo(file: ReadableFile, mostBytes: number): Promise<Buffer> {
  let buffer = Buffer.allocUnsafe(Math.min(FIRST_BYTES, mostBytes));
  let bytes = 0;
  while (bytes < mostBytes) {
    const { bytesRead } = await file.read(buffer, bytes, buffer.length - bytes, null);
    if (bytesRead === 0) break;
    bytes += bytesRead;
    if (bytes < buffer.length) continue;
    const larger = Buffer.allocUnsafe(Math.min(2 * bytes, mostBytes));
    buffer.copy(larger);
    buffer = larger;
  }
  return buffer.subarray(0, bytes);
}

/**
 * The first bytes of a file whose size says nothing, as in /proc.
 *
 * @throws the file system's error
 */
export async function readStart(path: string, mostBytes: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readUpTo(file, mostBytes);
  } finally {
    await file.close();
  }
}

/** True for a descriptor of a file that the kernel makes up as it is read: its size says nothing, and some have no end. */
export async function isMadeUp(file: Pick<FileHandle, 'fd'>): Promise<boolean> {
  const { type } = await statfs(`/proc/self/fd/${file.fd}`);
  return MADE_UP.has(type >>> 0); // 32 bits of it count, with a sign on some machines
}

/** An entry of a folder. */
export interface FolderEntry {
  name: string;
  /** Absolute or as the folder was given. */
  path: string;
  isFolder: boolean;
}

/**
 * What a folder holds, in no order, without following symbolic links.
 *
 * @param options.mostEntries - of it and all folders below it
 * @param options.below - true for the entries of the folders below too
 * @returns undefined when it holds more
 * @throws the file system's error
 */
export async function listBounded(
  folder: string,
  options: { mostEntries: number; below?: boolean },
): Promise<FolderEntry[] | undefined> {
  const entries: FolderEntry[] = [];
  const folders = [folder];
  for (const each of folders) {
    for await (const entry of await opendir(each, { bufferSize: NAMES_AT_A_TIME })) {
      if (entries.length === options.mostEntries) return undefined;
      const path = `${each}/${entry.name}`;
      const isFolder = entry.isDirectory();
      entries.push({ name: entry.name, path, isFolder });
      if (isFolder && options.below === true) folders.push(path);
    }
  }
  return entries;
}
