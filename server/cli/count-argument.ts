/** Numbers on a command line. */
import { InvalidArgumentError } from 'commander';

/** A count of one at least. */
export function countArgument(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw new InvalidArgumentError('give a whole number of 1 at least');
}
