/** A machine's journal in memory, and a journalctl that reads it. */
import type { RunningProgram, SpawnProgram } from '../../agent/journal/spawn-program.ts';
import type { Clock } from '../../common/time/clock.ts';

interface Entry {
  atMs: number;
  unit: string;
  json: string;
}

/** The journal. */
export class FakeJournal {
  readonly #clock: Clock;
  readonly #entries: Entry[] = [];
  readonly #followers = new Set<() => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A line that a unit's process writes. */
  write(unit: string, { pid, invocationId }: { pid: number; invocationId: string }, message: string): void {
    const identifier = unit.replace('.service', '');
    const own = { _PID: String(pid), _UID: '0', _SYSTEMD_UNIT: unit, _SYSTEMD_INVOCATION_ID: invocationId };
    this.#add(unit, { ...own, SYSLOG_IDENTIFIER: identifier, _COMM: identifier, MESSAGE: message });
  }

  /** A line that systemd writes of a unit. */
  writeOfSystemd(unit: string, invocationId: string, message: string): void {
    const own = { _PID: '1', _UID: '0', UNIT: unit, INVOCATION_ID: invocationId, SYSLOG_IDENTIFIER: 'systemd' };
    this.#add(unit, { ...own, MESSAGE: message });
  }

  /** What stands in it of a unit, oldest first. */
  linesOf(unit: string): string[] {
    return this.#entries.filter((entry) => entry.unit === unit).map(({ json }) => json);
  }

  /** As journalctl --show-cursor tells it. */
  cursor(): string {
    return cursorOf(this.#entries.length - 1);
  }

  readonly spawn: SpawnProgram = (argv) => {
    if (argv[1] === '--sync') return { stdout: none(), ended: Promise.resolve({ code: 0, stderr: '' }), kill() {} };
    return this.#read(argv);
  };

  #add(unit: string, fields: Record<string, string>): void {
    const atMs = this.#clock.nowMs();
    const own = { __CURSOR: cursorOf(this.#entries.length), __REALTIME_TIMESTAMP: String(atMs * 1000) };
    this.#entries.push({ atMs, unit, json: `${JSON.stringify({ ...own, ...fields })}\n` });
    for (const wake of [...this.#followers]) wake();
  }

  #read(argv: readonly string[]): RunningProgram {
    const values = (flag: string) =>
      argv.flatMap((word) => (word.startsWith(`${flag}=`) ? [word.slice(flag.length + 1)] : []));
    const units = new Set(values('--unit'));
    const follows = argv.includes('--follow');
    const killed = Promise.withResolvers<{ code: number; stderr: string }>();
    let isKilled = false;
    let next = this.#firstOf(values('--cursor')[0], values('--since')[0], argv.includes('--lines=0'));
    const entries = this.#entries;
    const followers = this.#followers;
    async function* stdout(): AsyncIterable<Uint8Array> {
      while (!isKilled) {
        for (; next < entries.length; next++) {
          const entry = entries[next];
          if (entry !== undefined && units.has(entry.unit)) yield Buffer.from(entry.json);
        }
        if (!follows) return;
        const written = Promise.withResolvers<void>();
        followers.add(written.resolve);
        await Promise.race([written.promise, killed.promise]);
        followers.delete(written.resolve);
      }
    }
    return {
      stdout: stdout(),
      ended: follows ? killed.promise : Promise.resolve({ code: 0, stderr: '' }),
      kill() {
        isKilled = true;
        killed.resolve({ code: 137, stderr: '' });
      },
    };
  }

  #firstOf(cursor: string | undefined, since: string | undefined, isNothing: boolean): number {
    if (isNothing) return this.#entries.length;
    if (cursor !== undefined) return Number.parseInt(cursor.replace(/^.*i=/, ''), 16);
    const sinceMs = Number(since?.slice(1) ?? '0') * 1000;
    const at = this.#entries.findIndex(({ atMs }) => atMs >= sinceMs);
    return at === -1 ? this.#entries.length : at;
  }
}

function cursorOf(index: number): string {
  return `s=1;i=${index.toString(16)}`;
}

async function* none(): AsyncIterable<Uint8Array> {}
