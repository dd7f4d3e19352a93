/** Durations as operators write them: "90s", "2m", "24h", "365d", "1h30m". */
import { z } from 'zod';
import { AppError, messageOf } from '../errors/app-error.ts';

/** Units, largest first, in milliseconds. A day has 24 hours. */
const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** Each unit at most once, larger before smaller. */
const pattern = /^(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/;

/**
 * Milliseconds of a duration. A number without a unit is refused, since nobody remembers which unit was meant.
 *
 * @throws AppError invalid-request
 */
export function parseDuration(text: string): number {
  const match = text === '' ? null : pattern.exec(text);
  if (match === null) {
    throw new AppError(
      'invalid-request',
      `${JSON.stringify(text.slice(0, 40))} is not a duration: write it with a unit, as 90s, 2m, 24h or 365d`,
    );
  }
  return units.reduce((sum, [, ms], index) => sum + Number(match[index + 1] ?? 0) * ms, 0);
}

/** The shortest text that parseDuration reads as the same: 5 400 000 is "1h30m", 0 is "0s". */
export function formatDuration(durationMs: number): string {
  let rest = Math.max(0, Math.round(durationMs));
  const parts = units.map(([unit, ms]) => {
    const count = Math.floor(rest / ms);
    rest -= count * ms;
    return count === 0 ? '' : `${count}${unit}`;
  });
  return parts.join('') || '0s';
}

/** A field of a configuration file that holds a duration within bounds; parsed it is milliseconds. */
export function duration(least: string, most: string): z.ZodType<number, string> {
  return z.string().transform((text, context) => {
    try {
      const ms = parseDuration(text);
      if (ms >= parseDuration(least) && ms <= parseDuration(most)) return ms;
      context.addIssue({ code: 'custom', message: `${text} is out of bounds: give ${least} to ${most}` });
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
    }
    return z.NEVER;
  });
}
