/** Flags of Kubernetes that hold a list (pflag, StringSlice): each occurrence is a line of CSV, and occurrences add up. */

/** The entries, without the spaces around them; none for a flag that is not given. */
export function listFlag(flags: ReadonlyMap<string, readonly string[]>, name: string): string[] {
  return (flags.get(name) ?? []).flatMap(splitList);
}

/** The entries of one occurrence; what is no CSV, so that the program would refuse it, is one entry as it stands. */
export function splitList(list: string): string[] {
  const [line = ''] = list.split('\n', 1);
  const fields = line.match(/(?:"(?:[^"]|"")*"|[^",]*)(?:,|$)/g) ?? [];
  if (fields.join('') !== line) return [list];
  return fields
    .map((field) => field.replace(/,$/, ''))
    .map((field) => (field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field))
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}

/** One occurrence with these entries. */
export function joinList(entries: readonly string[]): string {
  return entries.map((entry) => (/[",\n]/.test(entry) ? `"${entry.replaceAll('"', '""')}"` : entry)).join(',');
}
