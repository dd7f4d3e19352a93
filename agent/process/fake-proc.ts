/** A /proc with processes, for tests. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** When the fake machine was booted, milliseconds since the epoch. */
export const BOOTED_AT_MS = Date.UTC(2025, 11, 31);

/** A process in it. */
export interface FakeProcess {
  pid: number;
  argv: readonly string[];
  /** Text of the file cgroup. */
  cgroup: string;
  /** Milliseconds after the boot. */
  startedAfterMs?: number;
  /** What the kernel calls it; default "etcd". */
  name?: string;
}

/** Puts a process below root/proc. */
export function putProcess(root: string, { pid, argv, cgroup, startedAfterMs = 0, name = 'etcd' }: FakeProcess): void {
  const folder = join(root, 'proc', String(pid));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cmdline'), argv.map((word) => `${word}\0`).join(''));
  writeFileSync(join(folder, 'cgroup'), cgroup);
  // fields 3 to 21, then the start in ticks
  const before = ['S', ...Array.from({ length: 18 }, (_, at) => String(at))].join(' ');
  writeFileSync(join(folder, 'stat'), `${pid} (${name}) ${before} ${startedAfterMs / 10} 4096 0\n`);
  writeFileSync(join(root, 'proc', 'stat'), `cpu  1 2 3\nintr 5\nbtime ${BOOTED_AT_MS / 1000}\nprocesses 7\n`);
}
