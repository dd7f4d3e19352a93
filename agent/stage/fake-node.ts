/** A node for tests of the transaction: real files below a temporary root, a systemd, a kubelet and an etcd membership in memory. */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../common/log/log.ts';
import type { CommandResult, RunCommand } from '../../common/run/command.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { type Layout, layoutBelow } from '../layout.ts';
import type { MemberUpdate } from '../plan/change.ts';
import { FakeKubelet } from './fake-kubelet.ts';
import type { Direction, TransactionDeps } from './transaction.ts';

/** A unit of the fake systemd. */
export interface FakeUnit {
  activeState: string;
  subState: string;
  unitFileState: string;
  result: string;
  invocationId: string;
  /** Configuration that the running process read at its start. */
  running: string;
  starts: number;
  /** True for a process that reads its files again by itself. */
  live?: boolean;
}

/** Called at every step at which an agent can die or be refused; the name tells where. */
export type Step = (name: string) => Promise<void>;

/** A node with etcd and an API server that change together. */
export class FakeNode {
  readonly layout: Layout;
  readonly clock: FakeClock;
  readonly units = new Map<string, FakeUnit>();
  readonly kubelet: FakeKubelet;
  /** Drop-ins as systemd read them last. */
  #loaded = new Map<string, string>();
  peerUrls = ['http://10.0.0.1:2380'];
  /** Every state of the disk that a starting process found wanting. */
  readonly mismatches: string[] = [];
  /** Decides whether a unit that starts with this configuration fails. */
  fails: (unit: string, configuration: string) => boolean = () => false;
  /** True while the etcd cluster does not answer. */
  clusterDown = false;

  constructor(root: string, nowMs?: number) {
    this.layout = layoutBelow(root);
    this.clock = new FakeClock(nowMs);
    this.kubelet = new FakeKubelet(this.layout, this.clock, async (component, manifest) => {
      this.mismatches.push(...(await this.mismatchedPairs()));
      return this.podConfiguration(component, manifest);
    });
    for (const unit of ['etcd.service', 'kube-apiserver.service']) this.addUnit(unit);
  }

  /** The same node, which goes its own way from now on, but for its files, which are below the same root. */
  copy(): FakeNode {
    const copy = new FakeNode(this.layout.root, this.clock.nowMs());
    copy.units.clear();
    for (const [name, unit] of this.units) copy.units.set(name, { ...unit });
    copy.kubelet.continueFrom(this.kubelet);
    copy.#loaded = new Map(this.#loaded);
    copy.peerUrls = [...this.peerUrls];
    copy.mismatches.push(...this.mismatches);
    Object.assign(copy, { fails: this.fails, clusterDown: this.clusterDown });
    return copy;
  }

  /** A unit that runs and is enabled. */
  addUnit(name: string, live = false): void {
    this.units.set(name, {
      activeState: 'active',
      subState: 'running',
      unitFileState: 'enabled',
      result: 'success',
      invocationId: randomBytes(16).toString('hex'),
      running: '',
      starts: 0,
      live,
    });
  }

  /** Path on the node. */
  at(path: string): string {
    return join(this.layout.root, path);
  }

  unit(name: string): FakeUnit {
    const unit = this.units.get(name);
    if (unit === undefined) throw new Error(`no ${name} in this test`);
    return unit;
  }

  /** Dependencies of an agent process; each call is a new process. */
  deps(step: Step = async () => {}): TransactionDeps {
    return {
      layout: this.layout,
      clock: {
        nowMs: () => this.clock.nowMs(),
        monotonicMs: () => this.clock.monotonicMs(),
        // who waits lets the time pass and kubelet look
        sleep: async (ms, signal) => {
          signal?.throwIfAborted();
          await step('sleep');
          await this.kubelet.sync();
          await this.clock.advance(ms);
        },
      },
      log: silentLog,
      checkpoint: (name) => step(name),
      currentCursor: async () => 's=1;i=2',
      run: async (argv, options) => {
        await step(`before ${argv.slice(0, 2).join(' ')}`);
        const result = argv[0] === 'sh' ? await this.#kill(Number(argv.at(-1))) : await this.#systemctl(argv, options);
        await step(`after ${argv.slice(0, 2).join(' ')}`);
        return result;
      },
      updateMember: async (update, direction) => {
        await step('before update-member');
        this.#updateMember(update, direction);
        await step('after update-member');
      },
    };
  }

  /** What a process of this unit would read now. */
  async configuration(unit: string): Promise<string> {
    const parts = [this.#loaded.get(unit) ?? '(no drop-in)'];
    if (unit === 'etcd.service') parts.push(textAt(this.at('/etc/kube-mtls/etcd.env')) ?? '-');
    parts.push(...this.#files(unit.replace('.service', '')));
    return parts.join('\n');
  }

  /** What a container of this component would read now. */
  async podConfiguration(component: string, manifest: string): Promise<string> {
    return [manifest, ...this.#files(component)].join('\n');
  }

  /** The files that a component finds through its link. */
  #files(component: string): string[] {
    const current = join(this.layout.pkiFolder, component, 'current');
    return namesIn(current).map((name) => `${name}: ${readFileSync(join(current, name), 'utf8')}`);
  }

  /** Keys beside certificates that are not theirs, through the link. */
  async mismatchedPairs(): Promise<string[]> {
    const wrong: string[] = [];
    for (const component of namesIn(this.layout.pkiFolder)) {
      const current = join(this.layout.pkiFolder, component, 'current');
      for (const name of namesIn(current)) {
        if (!name.endsWith('.key')) continue;
        const key = readFileSync(join(current, name), 'utf8');
        const certificate = textAt(join(current, name.replace('.key', '.crt'))) ?? 'none';
        if (key.replace('key', '') !== certificate.replace('certificate', '')) wrong.push(join(current, name));
      }
    }
    return wrong;
  }

  /** systemd reads its units again, as at boot. */
  async reload(): Promise<void> {
    this.#loaded = new Map();
    for (const name of this.units.keys()) {
      const text = textAt(this.dropIn(name));
      if (text !== undefined) this.#loaded.set(name, text);
    }
  }

  /** A unit starts anew, for whatever reason. */
  async start(name: string): Promise<boolean> {
    const unit = this.unit(name);
    const running = await this.configuration(name);
    this.mismatches.push(...(await this.mismatchedPairs()));
    const failed = this.fails(name, running);
    Object.assign(unit, {
      activeState: failed ? 'activating' : 'active',
      subState: failed ? 'auto-restart' : 'running',
      result: failed ? 'exit-code' : 'success',
      invocationId: randomBytes(16).toString('hex'),
      running,
      starts: unit.starts + 1,
    });
    return !failed;
  }

  dropIn(unit: string): string {
    return this.at(`/etc/systemd/system/${unit}.d/50-kube-mtls.conf`);
  }

  #kill = async (pid: number): Promise<CommandResult> => {
    if (await this.kubelet.kill(pid)) return { code: 0, stdout: '', stderr: '' };
    return { code: 1, stdout: '', stderr: `kill: sending signal to ${pid} failed: No such process\n` };
  };

  #systemctl: RunCommand = async (argv) => {
    const done: CommandResult = { code: 0, stdout: '', stderr: '' };
    const name = argv.at(-1) ?? '';
    switch (argv[1]) {
      case 'daemon-reload':
        await this.reload();
        return done;
      case 'reset-failed':
        return done;
      case 'stop':
        Object.assign(this.unit(name), { activeState: 'inactive', subState: 'dead', result: 'success' });
        return done;
      case 'restart':
        if (await this.start(name)) return done;
        return {
          code: 1,
          stdout: '',
          stderr: `Job for ${name} failed because the control process exited.\nSee more\n`,
        };
      case 'show': {
        const unit = this.units.get(name);
        if (unit === undefined) return { ...done, stdout: 'LoadState=not-found\nActiveState=inactive\n' };
        const lines = [
          'LoadState=loaded',
          `ActiveState=${unit.activeState}`,
          `SubState=${unit.subState}`,
          `UnitFileState=${unit.unitFileState}`,
          'MainPID=7',
          `InvocationID=${unit.invocationId}`,
          'NRestarts=0',
          `ExecMainStartTimestampMonotonic=${process.hrtime.bigint() / 1000n}`,
          `Result=${unit.result}`,
          'TimeoutStopUSec=1min 30s',
          'TimeoutStartUSec=2min',
        ];
        return { ...done, stdout: `${lines.join('\n')}\n` };
      }
      default:
        throw new Error(`unexpected ${argv.join(' ')}`);
    }
  };

  #updateMember(update: MemberUpdate, direction: Direction): void {
    if (this.clusterDown) throw new Error('the etcd cluster does not answer');
    this.peerUrls = direction === 'forward' ? update.after : update.before;
  }

  /**
   * All of the node but the agent's own state: path to kind, mode, owner and content. Two nodes are alike when these are.
   */
  async tree(): Promise<Record<string, string>> {
    const entries: Record<string, string> = {};
    const walk = (folder: string, shown: string): void => {
      for (const name of namesIn(folder)) {
        const path = join(folder, name);
        const label = `${shown}/${name}`;
        if (label === '/var/lib/kube-mtls-agent' || label === '/proc') continue;
        const stats = lstatSync(path);
        const who = `${(stats.mode & 0o7777).toString(8)} ${stats.uid}:${stats.gid}`;
        if (stats.isSymbolicLink()) entries[label] = `link to ${readlinkSync(path)}`;
        else if (stats.isDirectory()) entries[label] = `folder ${who}`;
        else entries[label] = `file ${who} ${readFileSync(path, 'base64')}`;
        if (stats.isDirectory()) walk(path, label);
      }
    };
    walk(this.layout.root, '');
    return entries;
  }
}

/** Names in a folder, in order; none where there is no folder. */
function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}

/** Text of a file; undefined where there is none. */
function textAt(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
