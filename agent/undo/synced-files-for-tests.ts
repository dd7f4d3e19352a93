/**
 * What of a folder is left after a power cut, at worst: of a file what fsync of the file saw, of a folder the names that fsync of the
 * folder saw. A name that was synced before its file leads to an empty file, as on ext4 with delayed allocation; a link has no fsync of
 * its own and comes with its name.
 */
import fs from 'node:fs';
import { join } from 'node:path';
import { copyTree } from './die-at-each-step-for-tests.ts';

/** Permissions as they were synced. */
interface Who {
  mode: number;
  uid: number;
  gid: number;
}

/** What is on the disk of one file, folder or link. */
type Synced =
  | ({ kind: 'file'; content: Buffer } & Who)
  /** Names with the identity of what they lead to. */
  | ({ kind: 'folder'; names: ReadonlyMap<string, string> } & Who)
  | { kind: 'link'; target: string };

/** Nothing in it is lost: it is no part of the disk. */
const NO_DISK = ['/proc'];

/** The disk below one folder, the root of a node. */
export class SyncedFiles {
  readonly #root: string;
  readonly #identity: string;
  /** By identity, see {@link identityOf}. */
  readonly #synced: Map<string, Synced>;

  /** All that stands there now counts as synced, or what is synced of another disk of the same root. */
  constructor(root: string, other?: SyncedFiles) {
    this.#root = root;
    this.#identity = identityOf(root);
    this.#synced = new Map(other === undefined ? [] : other.#synced);
    if (other === undefined) this.writeBack();
  }

  /** fsync was called on a file or folder; those outside of the root are none of ours. */
  note(fd: number): void {
    const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
    if (path === this.#root || path.startsWith(`${this.#root}/`)) this.#sync(path);
  }

  /** The kernel writes back all that stands there now, as it does from time to time without being asked. */
  writeBack(): void {
    this.#syncAll(this.#root);
  }

  /**
   * The power is cut: makes a folder that has what was synced.
   *
   * @param from where the root is now; what is no disk is copied from there
   */
  readonly restoreTo = (from: string, folder: string): void => {
    this.#restore(folder, this.#synced.get(this.#identity));
    for (const each of NO_DISK) if (fs.existsSync(join(from, each))) copyTree(join(from, each), join(folder, each));
  };

  #isDisk(path: string): boolean {
    return !NO_DISK.includes(path.slice(this.#root.length));
  }

  #sync(path: string): void {
    const stats = fs.lstatSync(path);
    if (stats.isSymbolicLink()) {
      this.#synced.set(identityOf(path), { kind: 'link', target: fs.readlinkSync(path) });
    } else if (!stats.isDirectory()) {
      this.#synced.set(identityOf(path), { kind: 'file', content: fs.readFileSync(path), ...whoOf(stats) });
    } else {
      const names = new Map<string, string>();
      for (const name of fs.readdirSync(path)) {
        const at = join(path, name);
        if (!this.#isDisk(at)) continue;
        const identity = identityOf(at);
        names.set(name, identity);
        if (!this.#synced.has(identity)) this.#synced.set(identity, unsynced(at));
      }
      this.#synced.set(identityOf(path), { kind: 'folder', names, ...whoOf(stats) });
    }
  }

  #syncAll(path: string): void {
    this.#sync(path);
    if (!fs.lstatSync(path).isDirectory()) return;
    for (const name of fs.readdirSync(path)) if (this.#isDisk(join(path, name))) this.#syncAll(join(path, name));
  }

  #restore(path: string, at: Synced | undefined): void {
    if (at === undefined) throw new Error(`${path} was never synced`);
    if (at.kind === 'link') {
      fs.symlinkSync(at.target, path);
      return;
    }
    if (at.kind === 'file') fs.writeFileSync(path, at.content);
    else {
      fs.mkdirSync(path);
      for (const [name, identity] of at.names) this.#restore(join(path, name), this.#synced.get(identity));
    }
    fs.chownSync(path, at.uid, at.gid);
    fs.chmodSync(path, at.mode);
  }
}

/** What stands at a path for whose name alone fsync was called. */
function unsynced(path: string): Synced {
  const stats = fs.lstatSync(path);
  if (stats.isSymbolicLink()) return { kind: 'link', target: fs.readlinkSync(path) };
  return stats.isDirectory()
    ? { kind: 'folder', names: new Map(), ...whoOf(stats) }
    : { kind: 'file', content: Buffer.alloc(0), ...whoOf(stats) };
}

/** Tells files apart, also those that got the number of one that is gone. */
function identityOf(path: string): string {
  const { ino, birthtimeNs } = fs.lstatSync(path, { bigint: true });
  return `${ino} ${birthtimeNs}`;
}

function whoOf({ mode, uid, gid }: fs.Stats): Who {
  return { mode: mode & 0o7777, uid, gid };
}
