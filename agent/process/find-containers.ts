/**
 * The processes of containers, out of /proc: what runs is known without asking a container runtime, whichever it is.
 */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readStart } from '../../common/files/read-bounded.ts';
import type { Layout } from '../layout.ts';
import { absent } from '../stage/file-state.ts';

/** A process in a container. */
export interface ContainerProcess {
  pid: number;
  /** Identifier of the container, 64 hexadecimal digits. */
  containerId: string;
  argv: string[];
  /** Milliseconds since the epoch, exact to a second. */
  startedAtMs: number;
}

/** Ticks a second in /proc/PID/stat: USER_HZ is 100 on every architecture that Kubernetes runs on, whatever the kernel's own rate. */
const TICKS_PER_SECOND = 100;

/** The longest path of a program; bytes. */
const START_BYTES = 4096;
/**
 * Most bytes of one file: any process can have gigabytes of arguments (prctl(2), PR_SET_MM_MAP). One with more than this is no
 * process of a manifest of ours, and what is left of them equals no command.
 */
const MOST_BYTES = 1024 * 1024;

/**
 * Processes in containers of static pods whose program has this name, the one that started last first. Any user can run a program under
 * a name and with arguments that he likes, and make control groups below his own: see {@link containerIn}.
 *
 * @param program "kube-apiserver"; compared with the last part of argv[0]
 */
export async function findContainers(layout: Layout, program: string): Promise<ContainerProcess[]> {
  const proc = join(layout.root, '/proc');
  const found: ContainerProcess[] = [];
  let bootedAtMs: number | undefined;
  const base = baseOf(await read(join(proc, '1', 'cgroup')));
  for (const name of (await readdir(proc).catch(absent)) ?? []) {
    if (!/^[0-9]+$/.test(name)) continue;
    const cmdline = join(proc, name, 'cmdline');
    const [first = ''] = (await read(cmdline, START_BYTES)).split('\0');
    if (basename(first) !== program) continue;
    const argv = (await read(cmdline)).split('\0').slice(0, -1);
    const containerId = containerIn(await read(join(proc, name, 'cgroup')), base);
    const ticks = startTicks(await read(join(proc, name, 'stat')));
    if (containerId === undefined || ticks === undefined) continue;
    bootedAtMs ??= bootTimeMs(await read(join(proc, 'stat')));
    found.push({
      pid: Number(name),
      containerId,
      argv,
      startedAtMs: bootedAtMs + Math.floor((ticks * 1000) / TICKS_PER_SECOND),
    });
  }
  return found.sort((a, b) => b.startedAtMs - a.startedAtMs || b.pid - a.pid);
}

/** True when the process runs exactly that command; the program may be named by a longer or a shorter path. */
export function runs({ argv }: ContainerProcess, command: readonly string[]): boolean {
  return (
    argv.length === command.length &&
    argv.every((word, at) => (at === 0 ? basename(word) === basename(command[0] ?? '') : word === command[at]))
  );
}

/** Services below whose groups containers lie where runtime and kubelet do not agree on the cgroup driver; all of them are root's. */
const RUNTIMES = [
  ...['containerd.service', 'docker.service', 'crio.service', 'cri-docker.service', 'kubelet.service'],
  ...['k3s.service', 'k3s-agent.service', 'rke2-server.service', 'rke2-agent.service'],
];

/** The control group in which this node lives, where it is a container itself: that of its first process; '' on a machine. */
function baseOf(cgroup: string): string {
  const [, path = ''] = /^[^:]*:[^:]*:(.*?)(?:\/init\.scope)?$/m.exec(cgroup) ?? [];
  return path === '/' ? '' : path;
}

/**
 * The container of a static pod that a control group belongs to. Known forms, of cgroup v1 (many lines) and v2 (one line):
 *
 *     /kubepods/burstable/podUID/ID    …/kubepods-podUID.slice/cri-containerd-ID.scope    …/crio-ID.scope    …/docker-ID.scope
 *
 * Where one lies in another (a node that is a container itself), the innermost counts. Only root makes groups below kubepods, and kubelet
 * gives a static pod a UID of 32 hexadecimal digits, while a pod of the API has a UUID: what runs in one of those, in a session of a user
 * or in a service is no static pod, however it calls its group. Without --cgroups-per-qos there is no kubepods.
 *
 * @param base group of the node itself
 */
function containerIn(cgroup: string, base: string): string | undefined {
  for (const line of cgroup.split('\n')) {
    const whole = line.replace(/^[^:]*:[^:]*:/, '');
    const path = base !== '' && whole.startsWith(`${base}/`) ? whole.slice(base.length) : whole;
    const ids = [...path.matchAll(/(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g)];
    const id = ids.at(-1)?.[0];
    if (id !== undefined) return isOfUserOrPod(path) ? undefined : id;
  }
  return undefined;
}

/** True for a group below a user's session or a service, or below a pod of the API. */
function isOfUserOrPod(path: string): boolean {
  const isDelegated = path
    .split('/')
    .some((name) => name === 'user.slice' || (name.endsWith('.service') && !RUNTIMES.includes(name)));
  return isDelegated || /[/-]pod[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}(?![0-9a-f])/.test(path);
}

/** Field 22 of proc_pid_stat(5). The second field is the program's name in parentheses and may hold anything. */
function startTicks(stat: string): number | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[22 - 3]);
  return Number.isFinite(ticks) ? ticks : undefined;
}

/** btime of proc_stat(5), which counts whole seconds. */
function bootTimeMs(stat: string): number {
  const [, seconds] = /^btime ([0-9]+)$/m.exec(stat) ?? [];
  return Number(seconds ?? 0) * 1000;
}

/** As much as is wanted. A process may be gone at any moment; nothing is known of it then. */
async function read(path: string, mostBytes = MOST_BYTES): Promise<string> {
  try {
    return (await readStart(path, mostBytes)).toString();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return '';
    throw error;
  }
}
