/** What a process was started with and when, and how much it has computed, out of /proc. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../layout.ts';

/** Of one process. */
export interface ProcessTimes {
  /** Ticks after the boot; with the pid the identity of a process. */
  startTicks: number;
  /** Processor time of all its threads, milliseconds; exact to 10 ms. */
  usedMs: number;
}

/** Ticks a second, see find-containers.ts. */
const TICK_MS = 10;

/** Its words; none of a process that is gone. */
export async function argumentsOf({ root }: Pick<Layout, 'root'>, pid: number): Promise<string[]> {
  const text = await readFile(join(root, '/proc', String(pid), 'cmdline'), 'utf8').catch(() => '');
  return text.split('\0').slice(0, -1);
}

/** Fields 14, 15 and 22 of proc_pid_stat(5); undefined for a process that is gone, or has ended and is not yet collected. */
export async function processTimes({ root }: Pick<Layout, 'root'>, pid: number): Promise<ProcessTimes | undefined> {
  const text = await readFile(join(root, '/proc', String(pid), 'stat'), 'utf8').catch(() => '');
  // the second field is the program's name in parentheses and may hold anything
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const field = (number: number) => Number(fields[number - 3]);
  if (fields[0] === 'Z' || fields[0] === 'X' || !Number.isFinite(field(22))) return undefined;
  return { startTicks: field(22), usedMs: (field(14) + field(15)) * TICK_MS };
}
