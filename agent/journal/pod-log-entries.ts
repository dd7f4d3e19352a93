/** Entries out of the lines of one container's log file, parts of long lines joined. */
import { type JournalEntry, MESSAGE_LENGTH } from './journal-entry.ts';
import { type PodLogLine, parsePodLogLine } from './pod-log-line.ts';
import { strangersLines } from './strangers-lines.ts';

/** A container whose log is read. */
export interface PodContainer {
  /** "etcd-cp1". */
  pod: string;
  namespace: string;
  container: string;
}

/** Takes the lines of one file in their order; gives the entry that a line completes, unless it is one of {@link strangersLines}. */
export type TakePodLogLine = (line: string) => JournalEntry | undefined;

/** Makes the joiner of a file. The time of an entry is that of its first part. */
export function podLogEntries({ pod, container }: PodContainer): TakePodLogLine {
  const isStrangers = strangersLines();
  const begun = new Map<PodLogLine['stream'], { timeMs: number; text: string }>();
  return (line) => {
    const part = parsePodLogLine(line);
    if (part === undefined) return undefined;
    const { timeMs, text } = begun.get(part.stream) ?? { timeMs: part.timeMs, text: '' };
    // more than an entry holds is not kept, however many parts follow
    const message = (text + part.text).slice(0, MESSAGE_LENGTH);
    if (!part.whole) {
      begun.set(part.stream, { timeMs, text: message });
      return undefined;
    }
    begun.delete(part.stream);
    const entry: JournalEntry = {
      cursor: '',
      realtimeMs: timeMs,
      unit: pod,
      identifier: container,
      pid: 0,
      invocationId: '',
      message,
      fromSystemd: false,
    };
    return isStrangers(entry) ? undefined : entry;
  };
}
