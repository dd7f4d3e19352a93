/** A machine of a fake cluster: real files below a temporary root, a systemd in memory, and processes that read those files. */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Layout, layoutBelow } from '../../agent/layout.ts';
import type { Machine } from '../../agent/machine.ts';
import type { CommandResult, RunCommand } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import { FakeJournal } from './fake-journal.ts';
import type { FakeNetwork } from './fake-network.ts';

/** What runs in a unit. */
export interface FakeProcess {
  stop(): void;
}

/** A start of a unit. */
export interface FakeStart {
  machine: FakeMachine;
  /** Values by flag, of the command line as systemd has it. */
  flags: ReadonlyMap<string, string>;
  /** Writes a line to the journal as this process. */
  log(message: string): void;
  /** Ends this process, after a last line. */
  exit(message: string): void;
}

/** Starts the process; rejects with what the component says before it ends. */
export type FakeProgram = (start: FakeStart) => Promise<FakeProcess>;

interface FakeUnit {
  program: FakeProgram;
  /** The drop-in of ours as systemd read it last; undefined when there was none. */
  dropIn: string | undefined;
  process: FakeProcess | undefined;
  pid: number;
  invocationId: string;
  startedAtMs: number;
  starts: number;
}

/** What a machine is. */
export interface FakeMachineOptions {
  root: string;
  name: string;
  address: string;
  clock: Clock;
  network: FakeNetwork;
  /** What its programs say of themselves, "1.34.1". */
  version: string;
}

const done: CommandResult = { code: 0, stdout: '', stderr: '' };

/** The machine. */
export class FakeMachine {
  readonly name: string;
  readonly address: string;
  readonly clock: Clock;
  readonly layout: Layout;
  readonly journal: FakeJournal;
  readonly network: FakeNetwork;
  readonly #version: string;
  readonly #units = new Map<string, FakeUnit>();
  #lastPid = 1000;

  constructor({ root, name, address, clock, network, version }: FakeMachineOptions) {
    this.name = name;
    this.address = address;
    this.clock = clock;
    this.network = network;
    this.layout = layoutBelow(root);
    this.journal = new FakeJournal(clock);
    this.#version = version;
  }

  /** What an agent meets on this machine. */
  get machine(): Machine {
    const { network, address, clock, journal } = this;
    const { spawn } = journal;
    return { clock, run: this.#run, spawn, probe: network.probeFrom(address) };
  }

  /** Where a path of the machine lies. */
  at(path: string): string {
    return join(this.layout.root, path);
  }

  async write(path: string, text: string, mode = 0o644): Promise<void> {
    await mkdir(dirname(this.at(path)), { recursive: true, mode: 0o755 });
    await writeFile(this.at(path), text);
    await chmod(this.at(path), mode); // whatever the umask
  }

  /** A file as a process of the machine reads it: paths of the layout have the root in them already. */
  read(path: string): Promise<string> {
    return readFile(path.startsWith(`${this.layout.root}/`) ? path : this.at(path), 'utf8');
  }

  /** Installs a unit and starts it. */
  async addUnit(name: string, command: string, program: FakeProgram): Promise<void> {
    await this.write(`/etc/systemd/system/${name}`, `[Service]\nExecStart=${command}\n`);
    const unit = {
      program,
      dropIn: undefined,
      process: undefined,
      pid: 0,
      invocationId: '',
      startedAtMs: 0,
      starts: 0,
    };
    this.#units.set(name, unit);
    await this.#start(name);
  }

  /** How often the unit was started. */
  starts(name: string): number {
    return this.#unit(name).starts;
  }

  /** True while its process runs. */
  runs(name: string): boolean {
    return this.#units.get(name)?.process !== undefined;
  }

  /** Ends every process. */
  stop(): void {
    for (const unit of this.#units.values()) unit.process?.stop();
  }

  /** All of the machine but the agent's own state: path to kind, mode, owner and content. */
  tree(): Map<string, string> {
    const entries = new Map<string, string>();
    const walk = (folder: string, shown: string): void => {
      for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
        const path = join(folder, name);
        const label = `${shown}/${name}`;
        if (label === '/var/lib/kube-mtls-agent' || label === '/run') continue;
        const stats = lstatSync(path);
        const who = `${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
        if (stats.isSymbolicLink()) entries.set(label, `link to ${readlinkSync(path)}`);
        else if (stats.isDirectory()) entries.set(label, `folder ${who}`);
        else entries.set(label, `file ${who} ${readFileSync(path, 'base64')}`);
        if (stats.isDirectory()) walk(path, label);
      }
    };
    walk(this.layout.root, '');
    return entries;
  }

  readonly #run: RunCommand = async (argv) => {
    const name = argv.at(-1) ?? '';
    if (argv[0] === 'journalctl') return { ...done, stdout: `-- cursor: ${this.journal.cursor()}\n` };
    if (name === '--version') {
      const words = argv[0].endsWith('/etcd') ? 'etcd Version: ' : 'Kubernetes v';
      return { ...done, stdout: `${words}${this.#version}\n` };
    }
    if (argv[0] !== 'systemctl') return { code: 127, stdout: '', stderr: `no ${argv[0]} on this machine` };
    switch (argv[1]) {
      case 'show':
        return { ...done, stdout: this.#show(name, argv[argv.indexOf('-p') + 1] ?? '') };
      case 'daemon-reload':
        for (const [unit, state] of this.#units) state.dropIn = await this.#dropInOf(unit);
        return done;
      case 'restart':
        this.#stop(name);
        return (await this.#start(name)) ? done : { ...done, code: 1, stderr: `Job for ${name} failed.\n` };
      case 'stop':
        this.#stop(name);
        return done;
      case 'reset-failed':
        return done;
      default:
        throw new Error(`unexpected ${argv.join(' ')}`);
    }
  };

  #unit(name: string): FakeUnit {
    const unit = this.#units.get(name);
    if (unit === undefined) throw new Error(`no ${name} on ${this.name}`);
    return unit;
  }

  #dropInPath(name: string): string {
    return `/etc/systemd/system/${name}.d/50-kube-mtls.conf`;
  }

  async #dropInOf(name: string): Promise<string | undefined> {
    return existsSync(this.at(this.#dropInPath(name))) ? this.read(this.#dropInPath(name)) : undefined;
  }

  #stop(name: string): void {
    const unit = this.#unit(name);
    if (unit.process === undefined) return;
    this.journal.writeOfSystemd(name, unit.invocationId, `Stopping ${name}...`);
    unit.process.stop();
    unit.process = undefined;
    this.journal.writeOfSystemd(name, unit.invocationId, `Stopped ${name}.`);
  }

  async #start(name: string): Promise<boolean> {
    const unit = this.#unit(name);
    const pid = ++this.#lastPid;
    const invocationId = randomBytes(16).toString('hex');
    Object.assign(unit, { pid, invocationId, startedAtMs: this.clock.nowMs(), starts: unit.starts + 1 });
    const log = (message: string) => this.journal.write(name, { pid, invocationId }, message);
    const text = `${await this.read(`/etc/systemd/system/${name}`)}\n${unit.dropIn ?? ''}`;
    this.journal.writeOfSystemd(name, invocationId, `Started ${name}.`);
    const exit = (message: string) => {
      if (unit.invocationId !== invocationId) return; // another runs by now
      unit.process?.stop();
      unit.process = undefined;
      log(message);
      this.journal.writeOfSystemd(name, invocationId, `${name}: Main process exited, code=exited, status=1/FAILURE`);
    };
    try {
      unit.process = await unit.program({ machine: this, flags: flagsIn(text), log, exit });
      return true;
    } catch (error) {
      exit(`Error: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  #show(name: string, properties: string): string {
    const unit = this.#units.get(name);
    if (unit === undefined) return 'LoadState=not-found\nActiveState=inactive\nUnitFileState=\n';
    const isUp = unit.process !== undefined;
    // systemd and the agent read the same CLOCK_MONOTONIC: the start is as long ago on it as on the clock of the test
    const agoUs = (this.clock.nowMs() - unit.startedAtMs) * 1000;
    const values: Record<string, string> = {
      LoadState: 'loaded',
      ActiveState: isUp ? 'active' : 'activating',
      SubState: isUp ? 'running' : 'auto-restart',
      UnitFileState: 'enabled',
      FragmentPath: `/etc/systemd/system/${name}`,
      DropInPaths: unit.dropIn === undefined ? '' : this.#dropInPath(name),
      User: '',
      MainPID: String(isUp ? unit.pid : 0),
      InvocationID: unit.invocationId,
      NRestarts: '0',
      ExecMainStartTimestampMonotonic: String(Math.max(1, Math.round(Number(process.hrtime.bigint()) / 1000 - agoUs))),
      Result: isUp ? 'success' : 'exit-code',
      ExecMainCode: isUp ? '0' : '1',
      ExecMainStatus: isUp ? '0' : '1',
      TimeoutStopUSec: '1min 30s',
      TimeoutStartUSec: '1min 30s',
    };
    return properties
      .split(',')
      .map((property) => `${property}=${values[property] ?? ''}\n`)
      .join('');
  }
}

/** The flags of the last command line of a unit's files, in the form --name=value. */
function flagsIn(text: string): Map<string, string> {
  const command = [...text.replaceAll('\\\n', ' ').matchAll(/^ExecStart=(\S.*)$/gm)].at(-1)?.[1] ?? '';
  const words = command.split(/\s+/).map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
  return new Map(
    words.flatMap((word) =>
      [...word.matchAll(/^--([^=]+)=(.*)$/g)].map(([, name = '', value = '']) => [name, value] as const),
    ),
  );
}
