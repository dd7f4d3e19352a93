/** Clusters that are made once and kept as layers of files: a test boots its hosts on them, as after a reboot of all machines. */
import { readFileSync, statSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from './host.ts';
import type { Lab } from './lab.ts';
import { makeOnce } from './made-once.ts';
import { BASE, BIN, hashOf, LAB } from './places.ts';

const LAYERS = join(LAB, 'clusters');
/** kubeadm's certificates live a year; what a cluster wrote of itself shall not become old. */
const WEEK_MS = 7 * 24 * 3600_000;
/** Labs that began on layers of last week have ended by then. */
const MOST_AGE_MS = WEEK_MS + 24 * 3600_000;

/** A cluster that can be stopped and started again. */
export interface KeptCluster {
  name: string;
  /** Hosts by name, with their addresses. */
  addresses: Readonly<Record<string, string>>;
  /** Names of files in this folder that say how it is made: when one changes, it is made anew. */
  madeBy: readonly string[];
  /** Brings it up on fresh hosts. */
  make(hosts: readonly Host[]): Promise<void>;
  /** Stops what runs in order, so that it starts quickly; its hosts are shut down afterwards. */
  stop(hosts: readonly Host[]): Promise<void>;
  /** Starts what does not start by itself, and waits until it works, after a boot that began at this time. */
  start(hosts: readonly Host[], sinceMs: number): Promise<void>;
}

/** Boots a cluster on its layers, in the order of its addresses; when there are none of this week, it is made before. */
export async function bootKept(lab: Lab, cluster: KeptCluster, say: (text: string) => void): Promise<Host[]> {
  const { name, addresses } = cluster;
  const sources = cluster.madeBy.map((file) => readFileSync(join(import.meta.dirname, file)));
  const hash = hashOf(BASE, BIN, JSON.stringify(addresses), ...sources);
  const layers = join(LAYERS, `${name}-${hash}-${Math.floor(Date.now() / WEEK_MS)}`);
  const bootAll = (layerOf: (host: string) => string | undefined) =>
    Promise.all(Object.entries(addresses).map(([host, ip]) => lab.boot(host, ip, layerOf(host))));
  await makeOnce(layers, async (folder) => {
    say(`making the cluster of ${name}, which is kept for a week`);
    await removeOld();
    const hosts = await bootAll(() => undefined);
    await cluster.make(hosts);
    await cluster.stop(hosts);
    await Promise.all(hosts.map((host) => lab.keepAsLayer(host.name, join(folder, host.name))));
  });
  const sinceMs = Date.now();
  const hosts = await bootAll((host) => join(layers, host));
  await cluster.start(hosts, sinceMs);
  say(`the cluster of ${name} was ready ${((Date.now() - sinceMs) / 1000).toFixed(0)} s after its hosts began to boot`);
  return hosts;
}

async function removeOld(): Promise<void> {
  for (const name of await readdir(LAYERS).catch(() => [])) {
    const folder = join(LAYERS, name);
    if (Date.now() - statSync(folder).mtimeMs > MOST_AGE_MS) await rm(folder, { recursive: true, force: true });
  }
}
