/** Lines out of chunks of bytes, with a limit on their length. */

/** Longest line that is kept, in bytes. */
export const LINE_BYTES = 1024 * 1024;

/** Takes chunks as they come. */
export interface LineSplitter {
  /** The lines that the chunk completes, decoded as UTF-8, without their line feeds. The chunk is kept: it must not change. */
  push(chunk: Uint8Array): string[];
  /** What stands after the last line feed, or undefined for nothing. */
  rest(): string | undefined;
}

/**
 * Makes a splitter. Empty lines are left out.
 *
 * @param onDropped - called once for each line longer than {@link LINE_BYTES}, which is left out
 */
export function lineSplitter(onDropped: () => void): LineSplitter {
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let dropping = false;
  const add = (part: Uint8Array) => {
    bytes += part.length;
    if (dropping) return;
    if (bytes > LINE_BYTES) {
      dropping = true;
      parts = [];
      onDropped();
      return;
    }
    parts.push(part);
  };
  const take = (): string | undefined => {
    const line = dropping || bytes === 0 ? undefined : Buffer.concat(parts).toString('utf8');
    parts = [];
    bytes = 0;
    dropping = false;
    return line;
  };
  return {
    push(chunk) {
      const lines: string[] = [];
      let from = 0;
      for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
        add(chunk.subarray(from, at));
        from = at + 1;
        const line = take();
        if (line !== undefined) lines.push(line);
      }
      add(chunk.subarray(from));
      return lines;
    },
    rest: take,
  };
}

/**
 * The lines of a stream. A last line without a line feed counts only when
 * it is whole, which nobody knows: it is given too, and the reader of JSON finds out.
 *
 * @param onDropped - as for {@link lineSplitter}
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, onDropped: () => void): AsyncIterable<string> {
  const lines = lineSplitter(onDropped);
  for await (const chunk of chunks) yield* lines.push(chunk);
  const last = lines.rest();
  if (last !== undefined) yield last;
}
