/** Time spans as systemctl prints them. */

/** systemd.time(7), as format_timespan() of systemd 252 writes them; milliseconds. */
const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['us', 0.001],
  ['ms', 1],
  ['s', 1000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
  ['month', 2_629_800_000],
  ['y', 31_557_600_000],
]);

/** Milliseconds of "1min 30s" and the like; Infinity for "infinity" and for whatever is not understood. */
export function parseTimeSpan(text: string): number {
  const words = text.split(' ').filter((word) => word !== '');
  let sum = 0;
  for (const word of words) {
    const [, number, unit] = /^([0-9]+(?:\.[0-9]+)?)([a-z]+)$/.exec(word) ?? [];
    const factor = unit === undefined ? undefined : UNIT_MS.get(unit);
    if (number === undefined || factor === undefined) return word === '0' ? sum : Number.POSITIVE_INFINITY;
    sum += Number(number) * factor;
  }
  return words.length === 0 ? Number.POSITIVE_INFINITY : sum;
}
