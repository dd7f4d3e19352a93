/** Programs of components that run although no unit and no manifest that detection knows of tells of them. */
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readStart } from '../../common/files/read-bounded.ts';
import type { Component } from '../../common/names/names.ts';
import type { Layout } from '../layout.ts';
import type { Problem } from './detected.ts';

/** A process that could be a component. */
interface RunningProgram {
  component: Component;
  pid: number;
  /** Identifier of its container, or ''. */
  containerId: string;
  /** True in a pod: a container that some kubelet runs. */
  inPod: boolean;
  /** The service that it belongs to, or ''. */
  unit: string;
  /** True for k3s, a program that is all components at once. */
  inK3s: boolean;
}

/** As much of a process' arguments and control groups is looked at: any process can have gigabytes of arguments (prctl(2)). */
const MOST_BYTES = 16 * 1024;

/** Programs by name. */
const programs: ReadonlySet<string> = new Set<Component>([
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
]);

/**
 * What runs of each of the components, a problem each: the process with its unit or its container, and what to write into
 * agent.yaml.
 *
 * @param components - those of which nothing was found
 * @param manifests - where static pods were looked for; undefined when kubelet reads none
 * @param areStaticPodsKnown - false when kubelet may read them from elsewhere; else other pods are somebody's workload
 */
export async function findUnclaimed(
  layout: Layout,
  components: readonly Component[],
  manifests: string | undefined,
  areStaticPodsKnown: boolean,
): Promise<Problem[]> {
  if (components.length === 0) return [];
  const running = await runningPrograms(layout);
  return components.flatMap((component) => {
    // an API server in an ordinary pod may be the host's own, and would lose its etcd if nobody knew of it
    const isWorkload = (each: RunningProgram) => each.inPod && areStaticPodsKnown && component !== 'kube-apiserver';
    const found = running.find((each) => each.component === component && !isWorkload(each));
    return found === undefined ? [] : [{ component, message: messageFor(found, manifests) }];
  });
}

function messageFor(
  { component, pid, containerId, unit, inK3s }: RunningProgram,
  manifests: string | undefined,
): string {
  const leave = `set components.${component}.manage: false in agent.yaml to leave it alone`;
  if (inK3s) {
    const where = unit === '' ? `process ${pid}` : `${unit} (process ${pid})`;
    return `runs inside of k3s in ${where}, which keeps its own certificates: ${leave}`;
  }
  if (containerId !== '') {
    const container = `runs in a container (${containerId.slice(0, 12)}, process ${pid})`;
    return component === 'kubelet'
      ? `${container}, which is not understood: run it by a unit of the host, or ${leave}`
      : `${container} that no manifest${manifests === undefined ? '' : ` of ${manifests}`} tells of: name its manifest in agent.yaml (components.${component}.manifest) where kubelet has it from another folder, or ${leave}`;
  }
  if (unit === '') return `runs as process ${pid}, which no unit started: run it by a unit, or ${leave}`;
  return `runs in ${unit} (process ${pid}), and not in ${component}.service: write components.${component}.unit: ${unit} into agent.yaml, or ${leave}`;
}

/** In the order of their process numbers, so that the same is named each time. */
async function runningPrograms({ root }: Layout): Promise<RunningProgram[]> {
  const proc = join(root, '/proc');
  const names = await readdir(proc).catch(() => []); // no /proc, nothing to tell
  const pids = names.filter((name) => /^[0-9]+$/.test(name)).map(Number);
  const found: RunningProgram[] = [];
  for (const pid of pids.sort((a, b) => a - b)) {
    const argv = (await read(join(proc, String(pid), 'cmdline'))).split('\0');
    const program = programOf(argv);
    if (program === undefined) continue;
    const cgroup = await read(join(proc, String(pid), 'cgroup'));
    const { containerId, unit } = homeIn(cgroup);
    // kubeadm's proxy is a DaemonSet: it has the certificates of its service account and none of ours
    if (program.component === 'kube-proxy' && containerId !== '') continue;
    found.push({ ...program, pid, containerId, inPod: containerId !== '' && cgroup.includes('kubepods'), unit });
  }
  return found;
}

/** The innermost counts: a node can be a container itself, with units in it. */
function homeIn(cgroup: string): Pick<RunningProgram, 'containerId' | 'unit'> {
  for (const line of cgroup.split('\n')) {
    const homes = line.matchAll(/(?<![0-9a-f])(?<id>[0-9a-f]{64})(?![0-9a-f])|\/(?<unit>[^/]+\.service)(?=\/|$)/g);
    const found = [...homes].at(-1)?.groups;
    if (found !== undefined) return { containerId: found.id ?? '', unit: found.unit ?? '' };
  }
  return { containerId: '', unit: '' };
}

/** k3s writes its arguments into its own name. */
function programOf(argv: readonly string[]): Pick<RunningProgram, 'component' | 'inK3s'> | undefined {
  const [program = '', first = ''] = (argv[0] ?? '').includes(' ') ? (argv[0] ?? '').split(' ') : argv;
  const name = basename(program);
  if (name === 'k3s' && (first === 'server' || first === 'agent')) return { component: 'kubelet', inK3s: true };
  return isComponent(name) && !/^--?version\b/.test(first) ? { component: name, inK3s: false } : undefined;
}

function isComponent(name: string): name is Component {
  return programs.has(name);
}

/** The start of a file, where all stands that is looked for. A process may be gone at any moment. */
async function read(path: string): Promise<string> {
  return readStart(path, MOST_BYTES).then(String, () => '');
}
