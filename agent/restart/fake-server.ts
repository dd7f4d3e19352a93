/** An API server for tests of its end: a real /proc below a temporary root, its connections and its time in memory. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { silentLog } from '../../common/log/log.ts';
import type { RunCommand } from '../../common/run/command.ts';
import { layoutBelow } from '../layout.ts';
import type { EndingDeps } from './end-slow-stop.ts';

const LISTENER = 100;
const [PORT, PORT_HEX] = [6443, '192B'];

/** One of its connections; times are milliseconds of its clock. */
export interface FakeConnection {
  local: string;
  peer: string;
  unread?: number;
  unsent?: number;
  /** Segments with bytes that it has sent; default 100. */
  segments?: number;
  sentAtMs: number;
  receivedAtMs: number;
}

/** A watch that has been quiet for long. */
export const QUIET_WATCH: FakeConnection = {
  local: `[::ffff:10.0.0.1]:${PORT}`,
  peer: '[::ffff:10.0.0.2]:40000',
  sentAtMs: -5000,
  receivedAtMs: -6000,
};

/** Lets what is under way go on, file system included: each turn goes to a thread and back, as a call under way does. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await stat('/');
}

/** Its clock begins at 0 and moves while the code under test sleeps. */
export class FakeServer {
  readonly pid: number;
  readonly deps: EndingDeps;
  connections: FakeConnection[] = [QUIET_WATCH];
  /** False where there is no ss. */
  hasSs = true;
  /** Signals by which it ends at once, once it was told to stop. */
  obeys: readonly string[] = ['TERM', 'KILL'];
  /** Processor time, milliseconds. */
  usedMs = 0;
  /** Signals it got, with the time. */
  readonly signals: [name: string, atMs: number][] = [];
  readonly warnings: string[] = [];
  /** Resolves when it is gone. */
  readonly ended: Promise<void>;
  /** What else runs programs on this node; asked for whatever is neither ss nor kill. */
  others: RunCommand = async (argv) => Promise.reject(new Error(`unexpected ${argv.join(' ')}`));
  readonly #proc: string;
  readonly #events: { atMs: number; happens: () => void }[] = [];
  #nowMs = 0;
  /** The wall clock, set forward, or back. */
  aheadMs = 0;
  #end = () => {};

  /** @param parent - an existing folder, to be removed by the test */
  constructor(parent: string, pid = 4242) {
    this.pid = pid;
    const root = mkdtempSync(join(parent, 'server-'));
    this.#proc = join(root, 'proc', String(pid));
    mkdirSync(join(this.#proc, 'fd'), { recursive: true });
    mkdirSync(join(this.#proc, 'net'));
    symlinkSync('/dev/null', join(this.#proc, 'fd/0'));
    for (const [at, inode] of [LISTENER, 200, 201, 202].entries()) {
      symlinkSync(`socket:[${inode}]`, join(this.#proc, `fd/${at + 1}`));
    }
    writeFileSync(join(root, 'proc/stat'), 'btime 0\n');
    this.#put(1);
    this.listen(true);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    const run: RunCommand = async (argv, options) => {
      if (argv[0] === 'ss') return { code: this.hasSs ? 0 : 127, stdout: this.#ss(), stderr: '' };
      if (argv[0] !== 'sh') return this.others(argv, options);
      const name = /-([A-Z]+) /.exec(argv[2] ?? '')?.[1] ?? '';
      if (argv[3] === String(this.pid)) this.signals.push([name, this.#nowMs]);
      if (argv[3] === String(this.pid) && this.obeys.includes(name)) this.die();
      return { code: 0, stdout: '', stderr: '' };
    };
    const clock = {
      nowMs: () => this.#nowMs + this.aheadMs,
      monotonicMs: () => this.#nowMs,
      sleep: (ms: number, signal?: AbortSignal) => this.#sleep(ms, signal),
    };
    const warn = (_message: string, { detail = '' } = {}) => this.warnings.push(detail);
    this.deps = { layout: layoutBelow(root), run, clock, log: { ...silentLog, warn } };
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Lets something happen at a time. */
  at(atMs: number, happens: () => void): void {
    this.#events.push({ atMs, happens });
  }

  /** Opens its port, or closes it; another process goes on listening on the same port, with a socket of its own. */
  listen(isOpen: boolean): void {
    const line = (inode: number) =>
      ` 0: 00000000:${PORT_HEX} 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 ${inode} 1 0 100 0 0 10 0\n`;
    writeFileSync(join(this.#proc, 'net/tcp'), ' sl local_address\n');
    writeFileSync(join(this.#proc, 'net/tcp6'), ` sl local_address\n${line(999)}${isOpen ? line(LISTENER) : ''}`);
  }

  /** Puts it into a container. */
  enter(containerId: string, argv: readonly string[]): void {
    writeFileSync(join(this.#proc, 'cmdline'), argv.map((word) => `${word}\0`).join(''));
    writeFileSync(join(this.#proc, 'cgroup'), `0::/kubepods/pod1/${containerId}\n`);
  }

  die(): void {
    rmSync(this.#proc, { recursive: true, force: true });
    this.#end();
  }

  /** Another process gets its number. */
  replace(): void {
    this.#put(2);
  }

  #put(startTicks: number): void {
    const zeros = (count: number) => '0 '.repeat(count);
    writeFileSync(
      join(this.#proc, 'stat'),
      `${this.pid} (a) b) S ${zeros(10)}${this.usedMs / 10} 0 ${zeros(6)}${startTicks} 0\n`,
    );
  }

  async #sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    this.#nowMs += ms;
    for (const event of this.#events.filter(({ atMs }) => atMs <= this.#nowMs)) {
      this.#events.splice(this.#events.indexOf(event), 1);
      event.happens();
    }
  }

  /** Adds processor time, as the kernel tells it. */
  compute(ms: number): void {
    this.usedMs += ms;
    this.#put(1);
  }

  #ss(): string {
    const lines = this.connections.map(
      ({ local, peer, unread = 0, unsent = 0, segments = 100, sentAtMs, receivedAtMs }, at) => {
        const age = (name: string, atMs: number) => (this.#nowMs === atMs ? '' : ` ${name}:${this.#nowMs - atMs}`);
        const ages = `${age('lastsnd', sentAtMs)}${age('lastrcv', receivedAtMs)}${age('lastack', sentAtMs)}`;
        return `ESTAB ${unread} ${unsent} ${local} ${peer} ino:${200 + at} sk:1 <->\n\t ts sack cubic rto:204 rtt:0.1/0.1 data_segs_out:${segments}${ages}\n`;
      },
    );
    return lines.join('');
  }
}
