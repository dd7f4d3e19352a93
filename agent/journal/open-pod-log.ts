/** A log file of a container that is kept open, so that nothing is missed when it is rotated. */
import { type FileHandle, stat } from 'node:fs/promises';
import type { JournalEntry } from './journal-entry.ts';
import { type PodContainer, podLogEntries } from './pod-log-entries.ts';
import { isMissing, openLogFile } from './pod-log-files.ts';
import { lineSplitter } from './split-lines.ts';

/** The file. Nobody but its follower uses it, and one call at a time. */
export interface OpenPodLog {
  /** The entries that were written since the last call. Of a file that was cut short, all that it holds now. */
  written(): AsyncIterable<JournalEntry>;
  /** False when another file stands under its name: it was rotated. A name that is away for a moment changes nothing. */
  isCurrent(): Promise<boolean>;
  /** True when it has no name any more: it was removed. */
  isGone(): Promise<boolean>;
  close(): Promise<void>;
}

const CHUNK_BYTES = 64 * 1024;

/**
 * Opens a log file.
 *
 * @param from - 'end' when what it holds already is not wanted
 * @param onDropped - called for each line that is too long
 * @throws as {@link openLogFile}
 */
export async function openPodLog(
  path: string,
  container: PodContainer,
  from: 'start' | 'end',
  onDropped: () => void,
): Promise<OpenPodLog> {
  const file = await openLogFile(path);
  const { size, ino, dev } = await statOrClose(file);
  let offset = from === 'end' ? size : 0;
  let lines = lineSplitter(onDropped);
  let take = podLogEntries(container);
  return {
    async *written() {
      const { size: now } = await file.stat();
      if (now < offset) {
        offset = 0;
        lines = lineSplitter(onDropped);
        take = podLogEntries(container);
      }
      while (offset < now) {
        // a new one each time: the splitter keeps parts of it
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES, offset);
        if (bytesRead === 0) return;
        offset += bytesRead;
        for (const line of lines.push(buffer.subarray(0, bytesRead))) {
          const entry = take(line);
          if (entry !== undefined) yield entry;
        }
      }
    },
    async isCurrent() {
      try {
        const other = await stat(path);
        return other.ino === ino && other.dev === dev;
      } catch (error) {
        if (isMissing(error)) return true;
        throw error;
      }
    },
    isGone: async () => (await file.stat()).nlink === 0,
    close: () => file.close(),
  };
}

async function statOrClose(file: FileHandle) {
  try {
    return await file.stat();
  } catch (error) {
    await file.close();
    throw error;
  }
}
