/** The machine as far as figures depend on it, and what a process takes from it; Linux only. */
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { median } from './figure.ts';

/** Folders of benches are made here: /tmp may be memory, where fsync costs nothing. */
const ON_DISK = '/var/tmp';
/** Ticks of /proc/PID/stat are hundredths of a second to user space on every architecture (proc(5), USER_HZ). */
const TICK_MS = 10;

/** Cores, processor, Node.js, load, and what a durable write costs: one line each. */
export async function describeMachine(): Promise<string[]> {
  const [load = 0] = loadavg();
  const syncMs = await inFolder(async (folder) => median(syncTimesMs(join(folder, 'file'))));
  const lines = [
    `machine: ${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node.js ${process.version}, load ${load.toFixed(2)}`,
    `disk: ${syncMs.toFixed(2)} ms for 4 KiB and fdatasync below ${ON_DISK} (median of 50)`,
  ];
  if (load > 1)
    lines.push(
      'OTHERS ARE USING THIS MACHINE (load above 1): the figures are noisy, believe none of them to the digit',
    );
  return lines;
}

/** Lends a new folder on disk, and removes it. */
export async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(ON_DISK, 'kube-mtls-bench-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Memory that a process has resident, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** Processor time of a process so far, user and system, in milliseconds. */
export function processorMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // the program's name, in parentheses, may hold anything; after it user and system time are the 12th and 13th field
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function syncTimesMs(path: string): number[] {
  const file = openSync(path, 'w', 0o600);
  try {
    const block = Buffer.alloc(4096, 'x');
    return Array.from({ length: 50 }, () => {
      const startMs = performance.now();
      writeSync(file, block);
      fdatasyncSync(file);
      return performance.now() - startMs;
    });
  } finally {
    closeSync(file);
  }
}
