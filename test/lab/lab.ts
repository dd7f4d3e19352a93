/**
 * Test hosts: systemd-nspawn containers that boot a real systemd with its own journal, host name, network namespace and address.
 * Everything that a lab makes carries its prefix, and close() takes all of it away again.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandResult, runChecked, runCommand } from '../../common/run/command.ts';
import { Host } from './host.ts';
import { releaseLabLock, takeLabLock } from './lab-lock.ts';
import { BASE, BIN, LAB, makeBaseImage } from './packages.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const NSPAWN = '/run/systemd/nspawn';
const SWITCH = 'km-switch';

/** A running container. */
interface Running {
  host: Host;
  folder: string;
  nspawnPid: number;
  leaderPid: number;
}

/** A set of hosts on one private network, 10.77.0.0/24. One lab at a time on a machine. */
export class Lab {
  readonly #running = new Map<string, Running>();
  readonly #booting = new Set<Promise<Host>>();
  readonly #say: (text: string) => void;
  #closed: Promise<void> | undefined;
  /** A test that is interrupted takes its hosts with it, however often it is told, and though nobody reads any more what it says. */
  readonly #interrupted = () => {
    for (const output of [process.stdout, process.stderr]) output.on('error', () => {});
    void this.close().finally(() => process.exit(130));
  };

  private constructor(say: (text: string) => void) {
    this.#say = say;
    for (const signal of SIGNALS) process.on(signal, this.#interrupted);
  }

  /** Prepares the machine, and clears what a killed lab left. Needs root. */
  static async open(say: (text: string) => void = () => {}): Promise<Lab> {
    if (process.geteuid?.() !== 0) throw new Error('test hosts need root: they make namespaces and mounts');
    await makeBaseImage(say);
    await takeLabLock(say);
    await clearLeftovers();
    await mkdir(join(LAB, 'hosts'), { recursive: true });
    await mkdir(BIN, { recursive: true });
    // nspawn refuses a disk file system under its propagate folder
    await mkdir(NSPAWN, { recursive: true });
    await sh(['mount', '-t', 'tmpfs', 'kube-mtls-lab', NSPAWN]);
    await sh(['ip', 'netns', 'add', SWITCH]);
    await sh(['ip', '-n', SWITCH, 'link', 'set', 'lo', 'up']);
    await sh(['ip', '-n', SWITCH, 'link', 'add', 'br0', 'type', 'bridge']);
    await sh(['ip', '-n', SWITCH, 'link', 'set', 'br0', 'up']);
    await sh(['ip', '-n', SWITCH, 'addr', 'add', '10.77.0.1/24', 'dev', 'br0']);
    return new Lab(say);
  }

  /** Boots a host; about 1.5 s. */
  async boot(name: string, ip: string): Promise<Host> {
    if (this.#closed !== undefined) throw new Error('the lab is closed');
    const booting = this.#boot(name, ip);
    this.#booting.add(booting);
    return booting.finally(() => this.#booting.delete(booting));
  }

  async #boot(name: string, ip: string): Promise<Host> {
    const folder = join(LAB, 'hosts', name);
    await rm(folder, { recursive: true, force: true });
    for (const part of ['upper', 'work', 'root']) await mkdir(join(folder, part), { recursive: true });
    const root = join(folder, 'root');
    const layers = `lowerdir=${BASE},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
    await sh(['mount', '-t', 'overlay', 'overlay', '-o', layers, root]);
    await writeFile(join(root, 'etc/hostname'), `${name}\n`);
    await writeFile(join(root, 'etc/machine-id'), `${randomBytes(16).toString('hex')}\n`);
    await this.#connect(name, ip);
    const nspawnPid = startNspawn(name, root, folder);
    const running: Running = { host: new Host(name, ip, 0), folder, nspawnPid, leaderPid: 0 };
    this.#running.set(name, running); // from here on close() takes it away
    running.leaderPid = await waitForSystemd(nspawnPid, folder);
    running.host = new Host(name, ip, running.leaderPid);
    // nspawn mounts the cgroup v1 hierarchies read-only; containers of kubelet's need them writable
    await running.host.sh(
      'for m in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$m" 2>/dev/null || true; done',
    );
    this.#say(`host ${name} is up at ${ip}`);
    return running.host;
  }

  /** Cuts the power: no service is stopped in order. */
  async kill(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#running.delete(name);
    await takeAway(name, running.nspawnPid, running.leaderPid, running.folder);
  }

  /** Takes everything away. May be called again, also while it is at it. */
  close(): Promise<void> {
    this.#closed ??= this.#takeDown();
    return this.#closed;
  }

  async #takeDown(): Promise<void> {
    await Promise.allSettled(this.#booting);
    for (const name of [...this.#running.keys()]) await this.kill(name);
    await clearLeftovers(); // the switch, and hosts that did not boot
    await rm(join(LAB, 'hosts'), { recursive: true, force: true });
    await releaseLabLock();
    for (const signal of SIGNALS) process.off(signal, this.#interrupted);
  }

  async #connect(name: string, ip: string): Promise<void> {
    const space = `km-${name}`;
    await sh(['ip', 'netns', 'add', space]);
    await sh(['ip', 'link', 'add', space, 'netns', SWITCH, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space]);
    await sh(['ip', '-n', SWITCH, 'link', 'set', space, 'master', 'br0', 'up']);
    await sh(['ip', '-n', space, 'addr', 'add', `${ip}/24`, 'dev', 'eth0']);
    await sh(['ip', '-n', space, 'link', 'set', 'eth0', 'up']);
    await sh(['ip', '-n', space, 'link', 'set', 'lo', 'up']);
    await sh(['ip', '-n', space, 'route', 'add', 'default', 'via', '10.77.0.1']);
  }
}

function startNspawn(name: string, root: string, folder: string): number {
  // API_VFS_WRITABLE: kubelet writes sysctls; /dev/kmsg: kubelet opens it; capabilities, keyring, bpf: runc
  const script = `exec systemd-nspawn --directory="$1" --machine="$2" --boot --quiet --register=no --keep-unit --capability=all \
    --system-call-filter="@keyring bpf" --bind=/dev/kmsg --bind-ro="$3:/opt/bin" --network-namespace-path="/run/netns/km-$2" \
    --console=pipe </dev/null >"$4" 2>&1`;
  const child = spawn('bash', ['-c', script, 'nspawn', root, name, BIN, join(folder, 'console.log')], {
    detached: true, // a session of its own: Ctrl-C reaches us, and we power it off
    stdio: 'ignore',
    env: { ...process.env, SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'yes' },
  });
  child.unref();
  if (child.pid === undefined) throw new Error('systemd-nspawn did not start');
  return child.pid;
}

async function waitForSystemd(nspawnPid: number, folder: string): Promise<number> {
  for (let turn = 0; turn < 240; turn++) {
    const { stdout } = await runCommand(['pgrep', '-P', String(nspawnPid)]);
    const leaderPid = Number(stdout.trim().split('\n')[0]);
    if (leaderPid > 0) {
      const state = await enter(leaderPid, ['systemctl', 'is-system-running']);
      if (/running|degraded/.test(state.stdout)) return leaderPid;
    }
    await delay(250);
  }
  const console = await readFile(join(folder, 'console.log'), 'utf8').catch(() => '');
  throw new Error(`the host did not boot within a minute:\n${console.slice(-2000)}`);
}

async function takeAway(name: string, nspawnPid: number, leaderPid: number, folder: string): Promise<void> {
  for (const pid of [leaderPid, nspawnPid]) if (pid > 0) killQuietly(pid);
  for (let turn = 0; turn < 100 && existsSync(`/proc/${nspawnPid}`); turn++) await delay(50);
  await endBeside(`km-${name}`);
  const root = join(folder, 'root');
  const gone = await runCommand(['umount', root]);
  if (gone.code !== 0) await runCommand(['umount', '-l', root]);
  await runCommand(['ip', 'netns', 'del', `km-${name}`]);
  await rm(folder, { recursive: true, force: true });
}

/** Whatever is there of a lab, found by the names that only labs use. */
async function clearLeftovers(): Promise<void> {
  const { stdout: pids } = await runCommand(['pgrep', '-f', `systemd-nspawn --directory=${LAB}/hosts/`]);
  for (const pid of pids.split('\n').filter((line) => line !== '')) {
    const { stdout: children } = await runCommand(['pgrep', '-P', pid]);
    for (const child of children.split('\n')) if (child !== '') killQuietly(Number(child));
    killQuietly(Number(pid));
  }
  const mounts = await readFile('/proc/mounts', 'utf8');
  for (const line of mounts.split('\n').toReversed()) {
    const at = line.split(' ')[1] ?? '';
    if (at.startsWith(`${LAB}/hosts/`) || at === NSPAWN) await runCommand(['umount', '-l', at]);
  }
  const { stdout: spaces } = await runCommand(['ip', 'netns', 'list']);
  for (const line of spaces.split('\n')) {
    const space = line.split(' ')[0] ?? '';
    if (!space.startsWith('km-')) continue;
    await endBeside(space);
    await runCommand(['ip', 'netns', 'del', space]);
  }
}

/** Ends what runs beside a host in its network, as a load balancer. */
async function endBeside(space: string): Promise<void> {
  const { stdout } = await runCommand(['ip', 'netns', 'pids', space]);
  for (const pid of stdout.split('\n')) if (pid !== '') killQuietly(Number(pid));
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone already
  }
}

function enter(leaderPid: number, argv: readonly [string, ...string[]]): Promise<CommandResult> {
  return runCommand(['nsenter', '-t', String(leaderPid), '-a', ...argv]);
}

function sh(argv: readonly [string, ...string[]]): Promise<string> {
  return runChecked(runCommand, argv);
}
