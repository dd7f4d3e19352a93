/**
 * What of a folder is left after a power cut, at worst: of a file what fsync of the file saw, of a folder the names that fsync of the
 * folder saw. A name that was synced before its file leads to an empty file, as on ext4 with delayed allocation; a link has no fsync of
 * its own and comes with its name.
 */
import fs from 'node:fs';
import { join } from 'node:path';

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
  /** By identity, see {@link identityOf}. */
  #synced = new Map<string, Synced>();

  /** All that stands there now counts as synced. */
  constructor(root: string) {
    this.#root = root;
    this.#syncAll(root);
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

  /** The power is cut: what was not synced is as it was before, and all that is left counts as synced. */
  losePower(): void {
    const synced = this.#synced;
    const root = synced.get(identityOf(this.#root));
    this.#putBack(this.#root, root, synced);
    this.#synced = new Map();
    this.#syncAll(this.#root);
  }

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

  #putBack(path: string, at: Synced | undefined, synced: ReadonlyMap<string, Synced>): void {
    if (at === undefined) throw new Error(`${path} was never synced`);
    if (at.kind === 'link') {
      fs.symlinkSync(at.target, path);
      return;
    }
    if (at.kind === 'file') fs.writeFileSync(path, at.content);
    else {
      fs.mkdirSync(path, { recursive: true });
      for (const name of fs.readdirSync(path)) {
        if (this.#isDisk(join(path, name))) fs.rmSync(join(path, name), { recursive: true });
      }
      for (const [name, identity] of at.names) this.#putBack(join(path, name), synced.get(identity), synced);
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
