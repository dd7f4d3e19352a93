/**
 * One entry of the journal, read from the JSON that journalctl writes (systemd, JOURNAL_EXPORT_FORMATS), or of a static pod's
 * log, which knows less of it.
 */

/** What somebody wrote to the journal, or to the log of a container. */
export interface JournalEntry {
  /** Where it stands in the journal; opaque but for comparing and resuming. '' in the log of a container. */
  cursor: string;
  /** When the journal took it, milliseconds since the epoch. */
  realtimeMs: number;
  /** The unit that it is about: of the process that wrote it, or that systemd speaks of. The name of a static pod. */
  unit: string;
  /** "etcd", "systemd"; the container's name. */
  identifier: string;
  /** Of the process that wrote it; 0 when unknown. */
  pid: number;
  /** Which run of the unit; '' when the journal could not tell, as for a process that ended at once, and in the log of a container. */
  invocationId: string;
  /** The text, at most 16 KiB of it. */
  message: string;
  /** True for lines of the service manager itself, which no other process can forge. */
  fromSystemd: boolean;
}

/** The fields that {@link parseEntry} reads, for --output-fields. */
export const ENTRY_FIELDS = [
  'MESSAGE',
  'SYSLOG_IDENTIFIER',
  '_COMM',
  '_PID',
  '_UID',
  '_SYSTEMD_UNIT',
  '_SYSTEMD_INVOCATION_ID',
  'UNIT',
  'INVOCATION_ID',
] as const;

/** Longest message that is kept, in characters. */
export const MESSAGE_LENGTH = 16 * 1024;

/** The entry, or undefined when the line is no JSON object with a cursor: a line cut off by the end of journalctl. */
export function parseEntry(line: string): JournalEntry | undefined {
  let fields: unknown;
  try {
    fields = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof fields !== 'object' || fields === null) return undefined;
  const field = (name: string): string => text(Object.getOwnPropertyDescriptor(fields, name)?.value);
  const cursor = field('__CURSOR');
  const realtimeMs = Math.floor(Number(field('__REALTIME_TIMESTAMP')) / 1000);
  if (cursor === '' || !Number.isFinite(realtimeMs)) return undefined;
  // fields with an underscore come from journald, the others from whoever wrote the entry
  const fromSystemd = field('_PID') === '1' && field('_UID') === '0' && field('UNIT') !== '';
  return {
    cursor,
    realtimeMs,
    unit: fromSystemd ? field('UNIT') : field('_SYSTEMD_UNIT'),
    identifier: field('SYSLOG_IDENTIFIER') || field('_COMM'),
    pid: Number(field('_PID')) || 0,
    invocationId: fromSystemd ? field('INVOCATION_ID') : field('_SYSTEMD_INVOCATION_ID'),
    message: field('MESSAGE').slice(0, MESSAGE_LENGTH),
    fromSystemd,
  };
}

/** A field's value: text; bytes where it is no UTF-8; null where it is too long; a list where it was given twice: its first. */
function text(value: unknown): string {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return '';
  if (value.every((byte) => typeof byte === 'number')) return Buffer.from(value).toString('utf8');
  return text(value[0]);
}
