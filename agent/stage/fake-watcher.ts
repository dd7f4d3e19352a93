/**
 * A process that watches its certificate, key and roots as Kubernetes does since 1.23: inotify on what each path leads to; when that
 * is renamed or removed the path is watched anew, and at any event all of them are read (k8s.io/apiserver, dynamiccertificates).
 */
import { type FSWatcher, readFileSync, statSync, watch } from 'node:fs';

/** A process with files that it watches. End it with close. */
export class FakeWatcher {
  /** What it works with: what it read last. */
  held = '';
  /** Every reading that was not of one version: a key without its certificate, or a file that was not there. */
  readonly torn: string[] = [];
  readonly #paths: readonly string[];
  readonly #watches = new Map<string, { watcher: FSWatcher; inode: number }>();
  #waiting: () => void = () => {};

  /** @param paths certificate first, then its key, then any other file */
  constructor(...paths: readonly string[]) {
    this.#paths = paths;
    for (const path of paths) this.#watch(path);
    this.#read();
  }

  /** True when it works with what its paths lead to now, and would see that change. */
  get isUpToDate(): boolean {
    const inodes = this.#paths.map((path) => statSync(path).ino);
    const watched = this.#paths.map((path) => this.#watches.get(path)?.inode);
    return this.held === this.#content() && inodes.every((inode, at) => inode === watched[at]);
  }

  /** Resolves when it is up to date; rejects when it is not within ten seconds, which inotify does not need. */
  async upToDate(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => late.reject(new Error(`the watcher still has ${JSON.stringify(this.held)}`)),
      10_000,
    );
    try {
      while (!this.isUpToDate) {
        const event = Promise.withResolvers<void>();
        this.#waiting = event.resolve;
        await Promise.race([event.promise, late.promise]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    for (const { watcher } of this.#watches.values()) watcher.close();
  }

  #watch(path: string): void {
    const watcher = watch(path, (event) => {
      if (event === 'rename') {
        watcher.close();
        this.#watch(path);
      }
      this.#read();
      this.#waiting();
    });
    this.#watches.set(path, { watcher, inode: statSync(path).ino });
  }

  #read(): void {
    try {
      const content = this.#content();
      const [certificate, key] = content.split('\n');
      if (certificate?.replace('certificate', '') === key?.replace('key', '')) this.held = content;
      else this.torn.push(content);
    } catch (error) {
      this.torn.push(String(error));
    }
  }

  #content(): string {
    return this.#paths.map((path) => readFileSync(path, 'utf8')).join('\n');
  }
}
