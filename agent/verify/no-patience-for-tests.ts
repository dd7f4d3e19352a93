/** For tests of single attempts. */
import type { Patience } from './patience.ts';

/** One attempt and no more. */
export const noPatience: Patience = { untilMs: 0, hopeless: () => Promise.resolve(true) };
