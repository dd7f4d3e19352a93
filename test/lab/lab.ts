/**
 * Test hosts: systemd-nspawn containers that boot a real systemd with its own journal, host name, network namespace and address. Several
 * labs can be on one machine: each has networks and mounts of its own, so all of them use the same names and addresses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { runChecked, runCommand } from '../../common/run/command.ts';
import { inCgroupsOf, limitProcessor, removeCgroups } from './cgroups.ts';
import { compile } from './compile.ts';
import { keepEvidence } from './evidence.ts';
import { Host } from './host.ts';
import { type LabPlace, takeLabPlace } from './lab-place.ts';
import { ENDS_WITH_US, firstOutput } from './machine-lock.ts';
import { makeBaseImage } from './made-once.ts';
import { BASE, BIN, DIST, IMAGES } from './places.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Of Debian: they take dpkg's lock at the hour that they like. */
const TIMERS = ['apt-daily.timer', 'apt-daily-upgrade.timer', 'dpkg-db-backup.timer'] as const;
/** Long enough for the busiest machine; it says nothing about what is tested. */
const BOOT_MS = 180_000;

/** A running container. */
interface Running {
  host: Host;
  /** Folder of the files that it began with; none for those of the base image alone. */
  layer: string | undefined;
  nspawnPid: number;
  leaderPid: number;
}

/** A set of hosts on one private network, 10.77.0.0/24. */
export class Lab {
  readonly #running = new Map<string, Running>();
  readonly #booting = new Set<Promise<Host>>();
  readonly #relays: ChildProcess[] = [];
  readonly #place: LabPlace;
  readonly #say: (text: string) => void;
  #closed: Promise<void> | undefined;
  /** A test that is interrupted takes its hosts with it, however often it is told, and though nobody reads any more what it says. */
  readonly #interrupted = (signal: NodeJS.Signals) => {
    for (const output of [process.stdout, process.stderr]) output.on('error', () => {});
    void this.close().finally(() => process.exit(128 + constants.signals[signal]));
  };

  private constructor(place: LabPlace, say: (text: string) => void) {
    this.#place = place;
    this.#say = say;
    for (const signal of SIGNALS) process.on(signal, this.#interrupted);
  }

  /** Prepares the machine, and clears what a killed lab left. Needs root. */
  static async open(say: (text: string) => void = () => {}): Promise<Lab> {
    if (process.geteuid?.() !== 0) throw new Error('test hosts need root: they make namespaces and mounts');
    await makeBaseImage(say);
    for (const folder of [DIST, IMAGES]) await mkdir(folder, { recursive: true }); // what hosts see of this machine
    return new Lab(await takeLabPlace(), say);
  }

  /**
   * Boots a host; about 1.5 s.
   *
   * @param layer - folder of the files of a host that was stopped, which this one begins with
   */
  async boot(name: string, ip: string, layer?: string): Promise<Host> {
    if (this.#closed !== undefined) throw new Error('the lab is closed');
    const booting = this.#boot(name, ip, layer);
    this.#booting.add(booting);
    return booting.finally(() => this.#booting.delete(booting));
  }

  async #boot(name: string, ip: string, layer: string | undefined): Promise<Host> {
    const folder = this.#folderOf(name);
    await rm(folder, { recursive: true, force: true });
    for (const part of ['upper/etc/systemd/system', 'work', 'root'])
      await mkdir(join(folder, part), { recursive: true });
    for (const timer of TIMERS) await symlink('/dev/null', join(folder, 'upper/etc/systemd/system', timer));
    await writeFile(join(folder, 'upper/etc/hostname'), `${name}\n`);
    await writeFile(join(folder, 'upper/etc/machine-id'), `${randomBytes(16).toString('hex')}\n`);
    return this.#start(name, ip, layer);
  }

  async #start(name: string, ip: string, layer: string | undefined): Promise<Host> {
    const folder = this.#folderOf(name);
    const root = join(folder, 'root');
    const below = layer === undefined ? BASE : `${layer}:${BASE}`;
    const layers = `lowerdir=${below},upperdir=${join(folder, 'upper')},workdir=${join(folder, 'work')}`;
    await this.#run(['mount', '-t', 'overlay', 'overlay', '-o', layers, root]);
    await this.#connect(name, ip);
    const nspawnPid = this.#startNspawn(name, root, folder);
    const host = (leaderPid: number) => new Host({ name, ip, folder, leaderPid, switchPid: this.#place.pid });
    const running: Running = { host: host(0), layer, nspawnPid, leaderPid: 0 };
    this.#running.set(name, running); // from here on close() takes it away
    running.leaderPid = await waitForLeader(nspawnPid, host, folder);
    running.host = host(running.leaderPid);
    // nspawn mounts the cgroup v1 hierarchies read-only; containers of kubelet's need them writable
    await running.host.sh(
      'for m in /sys/fs/cgroup /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$m" 2>/dev/null || true; done',
    );
    this.#say(`host ${name} is up at ${ip}`);
    return running.host;
  }

  /** Cuts the power of a host, no service being stopped in order, and boots it on its own disk; the host before is of no use then. */
  async cutPower(name: string): Promise<Host> {
    const running = this.#running.get(name);
    if (running === undefined) throw new Error(`there is no host ${name}`);
    this.#running.delete(name);
    await this.#takeAway(name, running);
    this.#say(`the power of ${name} was cut`);
    return this.#start(name, running.host.ip, running.layer);
  }

  /** Pulls the cable of a host, or plugs it in again. */
  async setLink(name: string, state: 'down' | 'up'): Promise<void> {
    await this.#run(['ip', 'link', 'set', `to-${name}`, state]);
    this.#say(`the link of ${name} is ${state}`);
  }

  /** Lets a host use so much of one processor, 0.2 for a fifth. */
  async limitProcessor(name: string, share: number): Promise<void> {
    await limitProcessor(this.#place.folder, name, share);
    this.#say(`${name} has ${share} of a processor`);
  }

  /** Makes the cable of a host long and bad until the lab ends: what goes in and out is late, each way, and some of it is lost. */
  async slowLink(name: string, delayMs: number, lostInThousand: number): Promise<void> {
    const program = await compile('slow-wire', this.#say);
    const [near, far] = [`near-${name}`, `far-${name}`];
    await this.#run(['ip', 'link', 'add', near, 'type', 'veth', 'peer', 'name', far]);
    // the relay takes frames as they are on a wire, not as large as memory allows and without check sums
    for (const words of [
      ['ip', 'netns', 'exec', name, 'chroot', BASE, 'ethtool', '-K', 'eth0'],
      ['chroot', BASE, 'ethtool', '-K', far],
    ] as const) {
      await this.#run([...words, 'tx', 'off', 'tso', 'off', 'gso', 'off']);
    }
    await this.#run(['ip', 'link', 'set', near, 'up']);
    const inPlace = ['nsenter', '-t', String(this.#place.pid), '-n'];
    const [first, ...words] = [...ENDS_WITH_US, ...inPlace, program, `to-${name}`, near] as const;
    const relay = spawn(first, [...words, String(delayMs), String(lostInThousand)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#relays.push(relay);
    await firstOutput(relay);
    relay.unref();
    await this.#run(['ip', 'link', 'set', `to-${name}`, 'nomaster']);
    await this.#run(['ip', 'link', 'set', far, 'master', 'br0', 'up']);
    this.#say(`the link of ${name} is late by ${delayMs} ms each way and loses ${lostInThousand / 10} %`);
  }

  /** Takes a host away with its disk; no service is stopped in order. */
  async kill(name: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined) return;
    this.#running.delete(name);
    await this.#takeAway(name, running);
    await rm(this.#folderOf(name), { recursive: true, force: true });
  }

  /** Stops a host in order, keeps its files as a layer that others can be booted on, and takes it away. */
  async keepAsLayer(name: string, layer: string): Promise<void> {
    const running = this.#running.get(name);
    if (running === undefined) throw new Error(`there is no host ${name}`);
    this.#running.delete(name);
    await runCommand(['kill', '-s', 'RTMIN+4', String(running.leaderPid)]); // systemd(1): poweroff.target
    for (let waitedMs = 0; existsSync(`/proc/${running.nspawnPid}`) && waitedMs < BOOT_MS; waitedMs += 250) {
      await delay(250);
    }
    await this.#takeAway(name, running);
    const upper = join(this.#folderOf(name), 'upper');
    await rm(join(upper, 'var/log/journal'), { recursive: true, force: true }); // it is another host's that boots on it
    await rename(upper, layer);
    await rm(this.#folderOf(name), { recursive: true, force: true });
  }

  /** Keeps journals, logs and consoles of all hosts in a folder of its own, and returns its path. */
  keepEvidence(what: string): Promise<string> {
    return keepEvidence(
      what,
      [...this.#running.values()].map(({ host }) => host),
    );
  }

  /** Takes everything away. May be called again, also while it is at it. */
  close(): Promise<void> {
    this.#closed ??= this.#takeDown();
    return this.#closed;
  }

  async #takeDown(): Promise<void> {
    await Promise.allSettled(this.#booting);
    await Promise.all([...this.#running.keys()].map((name) => this.kill(name)));
    for (const relay of this.#relays) relay.kill('SIGKILL');
    await this.#place.release();
    for (const signal of SIGNALS) process.off(signal, this.#interrupted);
  }

  #folderOf(name: string): string {
    return join(this.#place.folder, name);
  }

  /** Runs a program of this machine where the lab's mounts and its switch are. */
  #run(argv: readonly [string, ...string[]]): Promise<string> {
    return runChecked(runCommand, ['nsenter', '-t', String(this.#place.pid), '-m', '-n', ...argv]);
  }

  async #connect(name: string, ip: string): Promise<void> {
    await this.#run(['ip', 'netns', 'add', name]);
    await this.#run(['ip', 'link', 'add', `to-${name}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name]);
    await this.#run(['ip', 'link', 'set', `to-${name}`, 'master', 'br0', 'up']);
    await this.#run(['ip', '-n', name, 'addr', 'add', `${ip}/24`, 'dev', 'eth0']);
    await this.#run(['ip', '-n', name, 'link', 'set', 'eth0', 'up']);
    await this.#run(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
    await this.#run(['ip', '-n', name, 'route', 'add', 'default', 'via', '10.77.0.1']);
  }

  #startNspawn(name: string, root: string, folder: string): number {
    // API_VFS_WRITABLE: kubelet writes sysctls; /dev/kmsg: kubelet opens it; capabilities, keyring, bpf: runc
    const nspawn = [
      ...[
        'systemd-nspawn',
        `--directory=${root}`,
        `--machine=${name}`,
        '--boot',
        '--quiet',
        '--register=no',
        '--keep-unit',
      ],
      ...['--capability=all', '--system-call-filter=@keyring bpf', '--bind=/dev/kmsg', '--console=pipe'],
      ...(existsSync(BIN) ? [`--bind-ro=${BIN}:/opt/bin`] : []), // hosts without Kubernetes need none
      ...[`--bind-ro=${DIST}:/opt/dist`, `--bind-ro=${IMAGES}:/opt/images`],
      `--network-namespace-path=/run/netns/${name}`,
    ];
    const inPlace = ['nsenter', '-t', String(this.#place.pid), '-m', ...inCgroupsOf(this.#place.folder, name)];
    const [program, ...words] = [...ENDS_WITH_US, ...inPlace, ...nspawn] as const;
    const console = openSync(join(folder, 'console.log'), 'w');
    const child = spawn(program, words, {
      detached: true, // a session of its own: Ctrl-C reaches us, and we power it off
      stdio: ['ignore', console, console],
      env: { ...process.env, SYSTEMD_NSPAWN_API_VFS_WRITABLE: 'yes' },
    });
    closeSync(console);
    child.unref();
    if (child.pid === undefined) throw new Error('systemd-nspawn did not start');
    return child.pid;
  }

  async #takeAway(name: string, { nspawnPid, leaderPid }: Running): Promise<void> {
    for (const pid of [leaderPid, nspawnPid]) if (pid > 0) killQuietly(pid);
    for (let turn = 0; turn < 200 && existsSync(`/proc/${nspawnPid}`); turn++) await delay(50);
    // what runs beside the host in its network, as a load balancer
    const { stdout } = await runCommand(['nsenter', '-t', String(this.#place.pid), '-m', 'ip', 'netns', 'pids', name]);
    for (const pid of stdout.split('\n')) if (pid !== '') killQuietly(Number(pid));
    for (const argv of [
      ['umount', '-l', join(this.#folderOf(name), 'root')],
      ['ip', 'netns', 'del', name],
    ] as const) {
      await this.#run(argv);
    }
    await removeCgroups(this.#place.folder, name);
  }
}

/**
 * Waits until a host's systemd runs, and returns its first process as this machine numbers it: the child of nspawn, which for a moment
 * has another one.
 */
async function waitForLeader(nspawnPid: number, hostOf: (leaderPid: number) => Host, folder: string): Promise<number> {
  const children = `/proc/${nspawnPid}/task/${nspawnPid}/children`;
  for (let waitedMs = 0; waitedMs < BOOT_MS && existsSync(children); waitedMs += 200) {
    const [leader] = (await readFile(children, 'utf8').catch(() => '')).trim().split(' ').map(Number);
    if (leader !== undefined && leader > 0) {
      const state = await hostOf(leader).run(['systemctl', 'is-system-running']);
      if (/running|degraded/.test(state.stdout)) return leader;
    }
    await delay(200);
  }
  throw new Error(`the host did not boot within ${BOOT_MS / 1000} s:\n${await consoleOf(folder)}`);
}

async function consoleOf(folder: string): Promise<string> {
  return (await readFile(join(folder, 'console.log'), 'utf8').catch(() => '')).slice(-2000);
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it is gone already
  }
}
