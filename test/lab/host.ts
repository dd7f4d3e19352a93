/** One test host, seen from outside: commands, files, and waiting for what shall become true. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { type CommandOptions, type CommandResult, runCommand } from '../../common/run/command.ts';
import { ENDS_WITH_US } from './machine-lock.ts';

const PATH = '/opt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What makes a host. */
export interface HostParts {
  name: string;
  ip: string;
  /** Folder of this machine for what belongs to the host; it goes with the host. */
  folder: string;
  /** Its first process, as this machine numbers it. */
  leaderPid: number;
  /** A process in the network of the switch that connects the hosts. */
  switchPid: number;
}

/** A host. */
export class Host {
  readonly name: string;
  readonly ip: string;
  readonly folder: string;
  readonly #leaderPid: number;
  readonly #switchPid: number;

  constructor({ name, ip, folder, leaderPid, switchPid }: HostParts) {
    this.name = name;
    this.ip = ip;
    this.folder = folder;
    this.#leaderPid = leaderPid;
    this.#switchPid = switchPid;
  }

  /** The host's file system as this machine sees it. Absolute links in it lead elsewhere. */
  get root(): string {
    return `/proc/${this.#leaderPid}/root`;
  }

  /** Starts a program of this machine in the host's network, with a pipe to and from it; it ends with this process. */
  spawnBeside(argv: readonly [string, ...string[]]): ChildProcess {
    const [program, ...words] = [...ENDS_WITH_US, 'nsenter', '-t', String(this.#leaderPid), '-n', ...argv] as const;
    return spawn(program, words, { stdio: ['pipe', 'pipe', 'inherit'] });
  }

  /** Runs a program of this machine beside the switch: on the hosts' network, and on none of the hosts. */
  runAtSwitch(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(['nsenter', '-t', String(this.#switchPid), '-n', ...argv], options);
  }

  /** Runs a program on the host. */
  run(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    const enter = ['nsenter', '-t', String(this.#leaderPid), '-a', 'env', `PATH=${PATH}`] as const;
    return runCommand([...enter, ...argv], options);
  }

  /** Runs a script in bash that must succeed, and returns what it prints. */
  async sh(script: string, timeoutMs = 120_000): Promise<string> {
    const { code, stdout, stderr } = await this.run(['bash', '-euo', 'pipefail', '-c', script], { timeoutMs });
    if (code !== 0) throw new Error(`on ${this.name}: ${script}\n  status ${code}\n${stdout}${stderr}`);
    return stdout;
  }

  /** Writes a file; its folder is made. */
  async write(path: string, content: string, mode = '0644'): Promise<void> {
    const script = 'mkdir -p "$(dirname "$1")"; cat >"$1"; chmod "$2" "$1"';
    const { code, stderr } = await this.run(['bash', '-c', script, 'write', path, mode], { input: content });
    if (code !== 0) throw new Error(`on ${this.name}: cannot write ${path}: ${stderr}`);
  }

  /** Reads a file. */
  read(path: string): Promise<string> {
    return this.sh(`cat '${path}'`);
  }

  /** The unit's journal, message by message. */
  journal(unit: string): Promise<string> {
    return this.sh(`journalctl --no-pager -o cat -u ${unit}`);
  }

  /** Asks again and again until the question is answered with something; fails after the time with the last words. */
  async until<T>(what: string, ask: () => Promise<T | undefined | false>, timeoutMs = 60_000): Promise<T> {
    const endMs = Date.now() + timeoutMs;
    let last: unknown = 'no answer';
    while (Date.now() < endMs) {
      try {
        const answer = await ask();
        if (answer !== undefined && answer !== false) return answer;
      } catch (error) {
        last = error;
      }
      await delay(300);
    }
    throw new Error(
      `on ${this.name}: waited ${timeoutMs / 1000} s for ${what}: ${last instanceof Error ? last.message : String(last)}`,
    );
  }
}
