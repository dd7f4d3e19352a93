/** One lab at a time on a machine: its addresses and namespaces have fixed names. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { LAB } from './packages.ts';

const LOCK = join(LAB, 'lab.lock');
const PATIENCE_MS = 30 * 60_000;

/** Takes the lock, waiting for the process that has it; one of a process that is gone is taken over. */
export async function takeLabLock(say: (text: string) => void): Promise<void> {
  await mkdir(LAB, { recursive: true });
  const endMs = Date.now() + PATIENCE_MS;
  for (let told = false; Date.now() < endMs; told = true) {
    if (await create()) return;
    const holder = await holderOfLock();
    if (holder > 0 && !isAlive(holder)) {
      await rm(LOCK, { force: true });
      continue;
    }
    if (!told) say(`waiting for the lab of process ${holder}`);
    await delay(1000);
  }
  throw new Error(`another lab runs on this machine: see ${LOCK}`);
}

/** Gives the lock back. */
export async function releaseLabLock(): Promise<void> {
  await rm(LOCK, { force: true });
}

/** Waits until no process has the lock, or so long. */
export async function waitForNoLab(mostMs: number): Promise<void> {
  const endMs = Date.now() + mostMs;
  for (let holder = await holderOfLock(); holder > 0 && isAlive(holder); holder = await holderOfLock()) {
    if (Date.now() > endMs) return;
    await delay(200);
  }
}

/** Its process; 0 when there is none. */
async function holderOfLock(): Promise<number> {
  return Number(await readFile(LOCK, 'utf8').catch(() => '0'));
}

async function create(): Promise<boolean> {
  try {
    await writeFile(LOCK, String(process.pid), { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
