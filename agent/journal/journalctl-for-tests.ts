/** A journalctl that plays what a test gives it. */
import type { ProgramEnd, RunningProgram, SpawnProgram } from './spawn-program.ts';

/** What one run of a fake program does. */
export interface Run {
  chunks?: (string | Uint8Array)[];
  end?: ProgramEnd;
  /** Stays open until killed. */
  hangs?: boolean;
}

/** The boot of the newest entry. */
export const BOOT = '99f1373dc6bd4143b81c1089853f0fa9';

/** A spawn that plays the runs in turn (the last one again and again) and keeps the command lines; it tells the newest boot besides. */
export function fakeSpawn(
  runs: Run[],
  bootIsInProc = false,
): { spawn: SpawnProgram; argvs: string[][]; kills: () => number } {
  const argvs: string[][] = [];
  let kills = 0;
  const spawn: SpawnProgram = (argv) => {
    if (argv[1] === '--sync') return { stdout: empty(), ended: Promise.resolve({ code: 0, stderr: '' }), kill() {} };
    if (argv.includes('--lines=1')) return newestEntry(argv, bootIsInProc);
    const run = runs[Math.min(argvs.length, runs.length - 1)] ?? {};
    argvs.push([...argv]);
    const killed = Promise.withResolvers<void>();
    async function* stdout() {
      for (const chunk of run.chunks ?? []) yield Buffer.from(chunk);
      if (run.hangs) await killed.promise;
    }
    return {
      stdout: stdout(),
      ended: run.hangs
        ? killed.promise.then(() => ({ code: 137, stderr: '' }))
        : Promise.resolve(run.end ?? { code: 0, stderr: '' }),
      kill() {
        kills++;
        killed.resolve();
      },
    };
  };
  return { spawn, argvs, kills: () => kills };
}

/** The answer to the question for the newest entry; of the boot that /proc tells there is one only where that is seen. */
export function newestEntry(argv: readonly string[], bootIsInProc = false): RunningProgram {
  async function* stdout() {
    if (!argv.includes('--boot') || bootIsInProc) yield Buffer.from(`{"__CURSOR":"c","_BOOT_ID":"${BOOT}"}\n`);
  }
  return { stdout: stdout(), ended: Promise.resolve({ code: 0, stderr: '' }), kill() {} };
}

async function* empty(): AsyncIterable<Uint8Array> {}

export function line(cursor: string, fields: Record<string, unknown> = {}): string {
  return `${JSON.stringify({
    __CURSOR: cursor,
    __REALTIME_TIMESTAMP: '1795519998821017',
    _PID: '87',
    _UID: '0',
    _SYSTEMD_UNIT: 'etcd.service',
    _SYSTEMD_INVOCATION_ID: 'aa',
    SYSLOG_IDENTIFIER: 'etcd',
    MESSAGE: `message ${cursor}`,
    ...fields,
  })}\n`;
}

export const REFUSED =
  'http: TLS handshake error from 10.77.0.9:1: tls: client requested unsupported application protocols ([x';
/** A second after the others. */
export const LATER = { __REALTIME_TIMESTAMP: '1795519999821017' };
