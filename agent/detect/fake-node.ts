/** A node below a temporary folder, with a systemctl that knows only the units a test gives it. */
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
import type { CommandResult, RunCommand } from '../../common/run/command.ts';
import { type Layout, layoutBelow } from '../layout.ts';
import type { SourceFile } from './detected.ts';
import type { ProcessDeps } from './load-process.ts';

/** A unit as systemd would have loaded it. Paths are those of the node, without the temporary root. */
export interface FakeUnit {
  /** Text of the unit file. */
  text: string;
  /** Where it stands; default /etc/systemd/system/NAME. */
  fragmentPath?: string;
  /** Drop-ins in the order in which systemd applies them: path and text. */
  dropIns?: Record<string, string>;
  user?: string;
  /** Default "active". */
  activeState?: string;
  /** Default "enabled". */
  unitFileState?: string;
  /** Default "loaded". */
  loadState?: string;
}

/** A process in a container. */
interface FakeProcess {
  argv: readonly string[];
  /** Default: one that no other has. */
  containerId?: string;
  /** Whole seconds since the epoch; default 0. */
  startedAtSeconds?: number;
}

/** For tests; {@link FakeNode.remove} takes its files away. */
export class FakeNode {
  readonly layout: Layout;
  /** Answers to programs other than systemctl, by their whole command line. */
  readonly answers = new Map<string, CommandResult>();
  /** Command lines that ran. */
  readonly ran: string[] = [];
  readonly #units = new Map<string, FakeUnit>();
  #lastPid = 100;

  constructor(root: string) {
    this.layout = layoutBelow(root);
  }

  /** A new node; it has the users root, etcd (107:115) and kube (200:201) and the group etcd. */
  static async create(): Promise<FakeNode> {
    const node = new FakeNode(await mkdtemp(join(tmpdir(), 'kube-mtls-node-')));
    await node.write(
      '/etc/passwd',
      'root:x:0:0:root:/root:/bin/bash\netcd:x:107:115::/var/lib/etcd/:/sbin/nologin\nkube:x:200:201::/:/bin/false\n',
    );
    await node.write('/etc/group', 'root:x:0:\netcd:x:115:\nssl-cert:x:120:etcd\n');
    return node;
  }

  /** Where a path of the node lies. */
  path(path: string): string {
    return join(this.layout.root, path);
  }

  async write(path: string, text: string | Uint8Array): Promise<void> {
    await mkdir(dirname(this.path(path)), { recursive: true });
    const isNew = !existsSync(this.path(path));
    await writeFile(this.path(path), text);
    if (isNew) await chmod(this.path(path), 0o644); // whatever the umask
  }

  async addUnit(name: string, unit: FakeUnit): Promise<void> {
    this.#units.set(name, unit);
    await this.write(unit.fragmentPath ?? `/etc/systemd/system/${name}`, unit.text);
    for (const [path, text] of Object.entries(unit.dropIns ?? {})) await this.write(path, text);
  }

  /**
   * A static pod.
   *
   * @param name - of the file in /etc/kubernetes/manifests, or its absolute path
   * @param options.running - true to let a container run with the manifest's command
   */
  async addManifest(name: string, text: string, options: { running?: boolean } = {}): Promise<void> {
    const path = name.startsWith('/') ? name : `/etc/kubernetes/manifests/${name}`;
    await this.write(path, text);
    if (options.running !== true) return;
    const { containers } = parsePod(text).spec;
    for (const { command = [], args = [] } of containers) await this.addProcess({ argv: [...command, ...args] });
  }

  /** A process in a container, with what /proc says of it; the PID. */
  async addProcess({ argv, containerId, startedAtSeconds = 0 }: FakeProcess): Promise<number> {
    const pid = ++this.#lastPid;
    const id = containerId ?? pid.toString(16).padStart(64, '0');
    const ticks = startedAtSeconds * 100; // the machine booted at the epoch
    await this.write('/proc/stat', 'btime 0\n');
    await this.write(`/proc/${pid}/cmdline`, argv.map((word) => `${word}\0`).join(''));
    await this.write(`/proc/${pid}/cgroup`, `0::/kubepods/burstable/pod1/${id}\n`);
    await this.write(`/proc/${pid}/stat`, `${pid} (x) S ${'0 '.repeat(18)}${ticks} 0\n`);
    return pid;
  }

  /** What a component is detected with, without any static pod. */
  processDeps(hostname: string): ProcessDeps {
    return { layout: this.layout, run: this.run, hostname, overrides: {}, pods: new Map() };
  }

  readonly run: RunCommand = async (argv) => {
    this.ran.push(argv.join(' '));
    const name = argv.at(-1) ?? '';
    if (argv[0] === 'systemctl' && argv[1] === 'show') return { code: 0, stdout: this.#show(name), stderr: '' };
    return this.answers.get(argv.join(' ')) ?? { code: 127, stdout: '', stderr: 'no such program' };
  };

  async remove(): Promise<void> {
    await rm(this.layout.root, { recursive: true });
  }

  #show(name: string): string {
    const unit = this.#units.get(name);
    if (unit === undefined) return 'User=\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n';
    return [
      `User=${unit.user ?? ''}`,
      `LoadState=${unit.loadState ?? 'loaded'}`,
      `ActiveState=${unit.activeState ?? 'active'}`,
      `FragmentPath=${unit.fragmentPath ?? `/etc/systemd/system/${name}`}`,
      `DropInPaths=${Object.keys(unit.dropIns ?? {}).join(' ')}`,
      `UnitFileState=${unit.unitFileState ?? 'enabled'}`,
      '',
    ].join('\n');
  }
}

interface FakePod {
  spec: { containers: { command?: string[]; args?: string[] }[] };
}

function parsePod(text: string): FakePod {
  return parse(text) as FakePod; // a test's own manifest
}

/** Tests may run as anybody; the agent writes its files as root. */
export function asRoot(file: SourceFile | undefined): SourceFile | undefined {
  return file === undefined ? undefined : { ...file, mode: 0o644, uid: 0, gid: 0 };
}
