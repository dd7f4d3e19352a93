/** Lines out of chunks of bytes, with a limit on their length. */

/** Longest line that is kept, in bytes. */
export const LINE_BYTES = 1024 * 1024;

/**
 * The lines of a stream, decoded as UTF-8, without their line feeds. A last line without a line feed counts only when
 * it is whole, which nobody knows: it is given too, and the reader of JSON finds out.
 *
 * @param onDropped - called once for each line longer than {@link LINE_BYTES}, which is left out
 */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, onDropped: () => void): AsyncIterable<string> {
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
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(10); at !== -1; at = chunk.indexOf(10, from)) {
      add(chunk.subarray(from, at));
      from = at + 1;
      const line = take();
      if (line !== undefined) yield line;
    }
    add(chunk.subarray(from));
  }
  const line = take();
  if (line !== undefined) yield line;
}
