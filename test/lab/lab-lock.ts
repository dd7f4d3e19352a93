/** One lab at a time on a machine: its addresses and namespaces have fixed names. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const PATIENCE_MS = 30 * 60_000;

/** Takes the lock, waiting for the process that has it; one of a process that is gone is taken over. */
export async function takeLabLock(path: string, say: (text: string) => void): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const endMs = Date.now() + PATIENCE_MS;
  for (let told = false; Date.now() < endMs; told = true) {
    if (await create(path)) return;
    const holder = Number(await readFile(path, 'utf8').catch(() => '0'));
    if (holder > 0 && !isAlive(holder)) {
      await rm(path, { force: true });
      continue;
    }
    if (!told) say(`waiting for the lab of process ${holder}`);
    await delay(1000);
  }
  throw new Error(`another lab runs on this machine: see ${path}`);
}

/** Gives the lock back. */
export async function releaseLabLock(path: string): Promise<void> {
  await rm(path, { force: true });
}

async function create(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx' });
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
