/** The sockets that a process holds, out of /proc. Another's are seen only with CAP_SYS_PTRACE, as the agent's unit gives it. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Layout } from '../layout.ts';

/** State TCP_LISTEN in proc_pid_net(5); include/net/tcp_states.h. */
const LISTEN = '0A';

/** Identifiers (inodes) of the sockets that a process holds; none of one that is gone or may not be looked at. */
export async function heldSockets({ root }: Pick<Layout, 'root'>, pid: number): Promise<ReadonlySet<string>> {
  const folder = join(root, '/proc', String(pid), 'fd');
  const names = await readdir(folder).catch(none);
  const targets = await Promise.all((names ?? []).map((name) => readlink(join(folder, name)).catch(none)));
  return new Set(targets.flatMap((target) => /^socket:\[([0-9]+)\]$/.exec(target ?? '')?.[1] ?? []));
}

/**
 * The sockets on which anybody listens for TCP in the network namespace of a process, with their ports. Two processes may listen on one
 * port (SO_REUSEPORT), never with one socket that only one of them holds.
 */
export async function listeningSockets({ root }: Pick<Layout, 'root'>, pid: number): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const name of ['tcp', 'tcp6']) {
    const text = (await readFile(join(root, '/proc', String(pid), 'net', name), 'utf8').catch(none)) ?? '';
    for (const line of text.split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
      if (state === LISTEN && inode !== undefined) found.set(inode, Number.parseInt(local.split(':').at(-1) ?? '', 16));
    }
  }
  return found;
}

/** A process or a descriptor may be gone at any moment. */
function none(): undefined {}
