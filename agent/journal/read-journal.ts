/**
 * A reader of the journal over journalctl's JSON, the interface that systemd keeps stable.
 *
 * It says --cursor and leaves out the entry at the cursor itself. With --after-cursor and --unit, journalctl also swallows
 * the unit's first entry after the cursor when the entry at the cursor is another unit's (measured, systemd 252).
 */
import { AppError } from '../../common/errors/app-error.ts';
import type { Log } from '../../common/log/log.ts';
import type { RunCommand } from '../../common/run/command.ts';
import { runChecked } from '../../common/run/command.ts';
import type { Clock } from '../../common/time/clock.ts';
import { ENTRY_FIELDS, type JournalEntry, parseEntry } from './journal-entry.ts';
import { KeptEntries } from './kept-entries.ts';
import type { SpawnProgram } from './spawn-program.ts';
import { splitLines } from './split-lines.ts';
import { strangersLines } from './strangers-lines.ts';

/** What the reader needs. */
export interface ReadJournalDeps {
  spawn: SpawnProgram;
  clock: Clock;
  log: Log;
}

const READ_LIMIT_MS = 60_000;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 60_000;
const JOURNALCTL = ['--no-pager', '--quiet', '--all', '--output=json', `--output-fields=${ENTRY_FIELDS}`] as const;

/** Cursor of the newest entry of the whole journal. Rejects 'unavailable' when there is none or journalctl fails. */
export async function currentCursor(run: RunCommand): Promise<string> {
  const text = await runChecked(run, ['journalctl', '--no-pager', '--quiet', '--lines=0', '--show-cursor']);
  const cursor = /^-- cursor: (\S+)$/m.exec(text)?.[1];
  if (cursor === undefined) {
    throw new AppError('unavailable', 'the journal is empty: check that systemd-journald runs and writes');
  }
  return cursor;
}

/**
 * The entries of a unit after a cursor, or since a time (milliseconds since the epoch), systemd's lines about it included,
 * oldest first, without {@link strangersLines}. With a pid those of that process instead, see lastMainPid in restart/unit-state.ts. Of more than 5000 ({@link KeptEntries}) the middle is left out.
 * Rejects 'unavailable' when journalctl fails, 'deadline' when it takes longer than a minute.
 */
export async function readSince(
  deps: ReadJournalDeps,
  from: { unit: string; pid?: number; signal?: AbortSignal } & ({ cursor: string } | { sinceMs: number }),
): Promise<JournalEntry[]> {
  from.signal?.throwIfAborted();
  // what the component has written already must be in the journal before it is read
  const sync = deps.spawn(['journalctl', '--sync']);
  await withLimit(deps, from.signal, sync.kill, sync.ended);

  const cursor = 'cursor' in from ? from.cursor : undefined;
  const place = 'cursor' in from ? `--cursor=${from.cursor}` : `--since=@${from.sinceMs / 1000}`;
  const whose = from.pid === undefined ? `--unit=${from.unit}` : `_PID=${from.pid}`;
  const program = deps.spawn(['journalctl', ...JOURNALCTL, whose, place]);
  const read = async (): Promise<JournalEntry[]> => {
    const kept = new KeptEntries();
    const isStrangers = strangersLines();
    let tooLong = 0;
    for await (const line of splitLines(program.stdout, () => tooLong++)) {
      const entry = parseEntry(line);
      if (entry === undefined || isStrangers(entry) || entry.cursor === cursor) continue;
      kept.add(entry.unit === '' ? { ...entry, unit: from.unit } : entry);
    }
    const { code, stderr } = await program.ended;
    if (code !== 0) {
      throw new AppError('unavailable', `the journal of ${from.unit} could not be read: ${stderr || `status ${code}`}`);
    }
    const { entries, dropped } = kept.all();
    const left = dropped + tooLong;
    if (left > 0) deps.log.warn('journal entries left out', { unit: from.unit, count: left });
    return entries;
  };
  return await withLimit(deps, from.signal, program.kill, read());
}

/**
 * The entries of units as they come, without {@link strangersLines}, from a cursor on, or from now on without one. It does not end
 * by itself: when journalctl ends it is started again, with backoff, after the last entry given. When the signal fires the
 * iteration ends.
 */
export async function* followUnits(
  deps: ReadJournalDeps,
  units: readonly string[],
  cursor: string | undefined,
  signal: AbortSignal,
): AsyncIterable<JournalEntry> {
  if (units.length === 0) return; // journalctl without --unit would read everybody's
  const isStrangers = strangersLines();
  let last = cursor;
  let sinceUs: number | undefined;
  const startedUs = deps.clock.nowMs() * 1000;
  let dropped = 0;
  const onDropped = () => deps.log.warn('journal line too long, left out', { count: ++dropped });
  for (let retryMs = FIRST_RETRY_MS; !signal.aborted; retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)) {
    const place =
      sinceUs !== undefined ? `--since=@${sinceUs / 1e6}` : last !== undefined ? `--cursor=${last}` : '--lines=0';
    const boot = await bootToFollow(deps, signal);
    if (signal.aborted) return;
    const program = deps.spawn([
      'journalctl',
      ...JOURNALCTL,
      '--follow',
      ...boot,
      ...units.map((unit) => `--unit=${unit}`),
      ...(place === '--lines=0' ? [place] : ['--no-tail', place]),
    ]);
    signal.addEventListener('abort', program.kill, { once: true });
    try {
      for await (const line of splitLines(program.stdout, onDropped)) {
        if (signal.aborted) return;
        const entry = parseEntry(line);
        if (entry === undefined) continue;
        const isOfStranger = isStrangers(entry); // that at the cursor may be what makes the next ones doubtful
        if (entry.cursor === last) continue;
        if (sinceUs !== undefined && (realtimeUs(entry.cursor) ?? Number.POSITIVE_INFINITY) <= sinceUs) continue;
        last = entry.cursor;
        sinceUs = undefined;
        retryMs = FIRST_RETRY_MS;
        if (!isOfStranger) yield entry;
      }
    } finally {
      signal.removeEventListener('abort', program.kill);
      program.kill();
    }
    const { code, stderr } = await program.ended;
    if (signal.aborted) return;
    deps.log.warn('journalctl ended', { detail: stderr, code: String(code), retryMs });
    // a cursor that rotation took away makes journalctl go on at the next entry; one that it cannot read makes it fail
    const refused = /cursor/i.test(stderr);
    if (last === undefined || refused) sinceUs ??= realtimeUs(last ?? '') ?? startedUs;
    try {
      await deps.clock.sleep(retryMs, signal);
    } catch {
      return; // the signal fired
    }
  }
}

/**
 * With --follow journalctl shows one boot alone: the one that /proc tells. In a node that is a container the agent's unit does not see the
 * container's own boot there (ProtectKernelTunables= hides the mount), and the journal would say nothing (measured, systemd 252). So where it
 * has no entry of that boot, the boot of its newest entry is named. Empty where that need not be, and where nothing can be read: following
 * fails then too, and is tried again.
 */
async function bootToFollow(deps: ReadJournalDeps, signal: AbortSignal): Promise<string[]> {
  // a clock that was set back makes another boot's entry the newest: that of /proc goes first
  if ((await newestBoot(deps, signal, ['--boot'])) !== undefined) return [];
  const boot = await newestBoot(deps, signal, []);
  return boot === undefined ? [] : [`--boot=${boot}`];
}

/** The boot of the newest entry among those that the words choose; undefined where there is none, or it cannot be read. */
async function newestBoot(
  deps: ReadJournalDeps,
  signal: AbortSignal,
  words: readonly string[],
): Promise<string | undefined> {
  const newest = ['--lines=1', '--output=json', '--output-fields=_BOOT_ID'];
  const program = deps.spawn(['journalctl', '--no-pager', '--quiet', ...newest, ...words]);
  const read = async (): Promise<string | undefined> => {
    let boot: string | undefined;
    for await (const line of splitLines(program.stdout, () => {})) boot = /"_BOOT_ID":"([0-9a-f]{32})"/.exec(line)?.[1];
    await program.ended;
    return boot;
  };
  try {
    return await withLimit(deps, signal, program.kill, read());
  } catch {
    return undefined; // the signal fired, or it takes too long
  }
}

/** Microseconds since the epoch at which the entry of a cursor was logged (its field t, hexadecimal). */
function realtimeUs(cursor: string): number | undefined {
  const hex = /(?:^|;)t=([0-9a-f]+)/.exec(cursor)?.[1];
  return hex === undefined ? undefined : Number.parseInt(hex, 16);
}

/** The result, unless the signal fires or the time is over first: then the program is killed. */
async function withLimit<T>(
  deps: ReadJournalDeps,
  signal: AbortSignal | undefined,
  kill: () => void,
  result: Promise<T>,
): Promise<T> {
  const done = new AbortController();
  let late = false;
  signal?.addEventListener('abort', kill, { once: true });
  deps.clock.sleep(READ_LIMIT_MS, done.signal).then(
    () => {
      late = true;
      kill();
    },
    () => {}, // it ended in time
  );
  try {
    const value = await result.catch((error: unknown) => {
      if (late) throw new AppError('deadline', 'journalctl did not end in time', { cause: error });
      signal?.throwIfAborted();
      throw error;
    });
    signal?.throwIfAborted();
    if (late) throw new AppError('deadline', 'journalctl did not end in time');
    return value;
  } finally {
    done.abort();
    signal?.removeEventListener('abort', kill);
  }
}
