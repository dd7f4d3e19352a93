/**
 * Where one lab is on this machine. A process keeps it: it has the lab's lock, the network of the lab's switch, and a mount namespace in
 * which all of the lab's mounts and named networks are. When it ends, and it ends with the test, nothing of them is left.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { removeCgroups } from './cgroups.ts';
import { ENDS_WITH_US, firstOutput, isLocked } from './machine-lock.ts';
import { LAB } from './places.ts';

const LABS = join(LAB, 'labs');
/** More of them than any machine here has memory for. */
const MOST_LABS = 8;
const NSPAWN = '/run/systemd/nspawn';
const NETWORKS = '/run/netns';

/** nspawn refuses a disk file system under its folder; /run may be one. */
const SET_UP = `mount -t tmpfs tmpfs ${NSPAWN} && mount -t tmpfs tmpfs ${NETWORKS}
ip link set lo up; ip link add br0 type bridge; ip link set br0 up; ip addr add 10.77.0.1/24 dev br0
echo ready; exec sleep infinity`;

/** The place of a lab that runs. */
export interface LabPlace {
  /** Folder for what the lab writes; empty at first. */
  folder: string;
  /** The process that keeps it; it has the switch's network namespace and the lab's mount namespace. */
  pid: number;
  /** Gives it back; every process in the lab's namespaces has to have ended. */
  release(): Promise<void>;
}

/** Takes the first place that is free, and clears what a killed lab left in it. Needs root. Throws when there is none. */
export async function takeLabPlace(): Promise<LabPlace> {
  for (const folder of [NSPAWN, NETWORKS, LABS]) await mkdir(folder, { recursive: true });
  for (let number = 0; number < MOST_LABS; number++) {
    const folder = join(LABS, String(number)); // of whoever has the lock: nobody else touches it
    const keeper = startKeeper(`${folder}.lock`);
    try {
      await firstOutput(keeper);
    } catch {
      continue; // another lab is there
    }
    keeper.stdout?.destroy();
    keeper.unref();
    await removeLeftovers(folder);
    await mkdir(folder);
    return { folder, pid: keeper.pid ?? 0, release: () => release(keeper, folder) };
  }
  throw new Error(`${MOST_LABS} labs run on this machine: see ${LABS}`);
}

/** Removes what killed labs left: their folders, since everything else has ended with them. Returns what it removed. */
export async function clearLeftovers(): Promise<string[]> {
  const removed: string[] = [];
  for (const folder of await placesThat((locked) => !locked)) {
    await removeLeftovers(folder);
    removed.push(folder);
  }
  return removed;
}

/** Waits until no lab runs, or so long. */
export async function waitForNoLab(mostMs: number): Promise<void> {
  const endMs = Date.now() + mostMs;
  while (Date.now() < endMs && (await placesThat((locked) => locked)).length > 0) await delay(200);
}

async function placesThat(are: (locked: boolean) => boolean): Promise<string[]> {
  const places: string[] = [];
  for (const name of await readdir(LABS).catch(() => [])) {
    const folder = join(LABS, name);
    if (!name.endsWith('.lock') && are(await isLocked(`${folder}.lock`))) places.push(folder);
  }
  return places;
}

function startKeeper(lock: string): ChildProcess {
  const [program, ...words] = ENDS_WITH_US;
  const own = ['flock', '--nonblock', '--no-fork', lock, 'unshare', '--net', '--mount', '--propagation', 'private'];
  // its error output is ours: a set-up that fails shall be seen
  return spawn(program, [...words, ...own, 'bash', '-euc', SET_UP], {
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true, // Ctrl-C reaches the test, which ends it when the hosts are down
  });
}

async function release(keeper: ChildProcess, folder: string): Promise<void> {
  await removeLeftovers(folder); // while the lock is held: the next one to have it may begin at once
  const ended = new Promise((resolve) => keeper.once('close', resolve));
  keeper.ref();
  keeper.kill('SIGKILL');
  if (keeper.exitCode === null && keeper.signalCode === null) await ended;
}

async function removeLeftovers(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await removeCgroups(folder);
}
