/** A change of the code that a test has to notice. */

/** One condition or constant, changed. */
export interface Mutant {
  /** "V2"; those of ../shared/findings/mutants.md have their id from there. */
  id: string;
  /** The file, from the root of the checkout. */
  file: string;
  /** The exact text; it stands in the file exactly once. */
  find: string;
  /** What stands there instead. */
  replace: string;
  /** Globs of the test files that are run, those that are likeliest to notice first. */
  tests: readonly string[];
  /** Why it may survive; absent where a test has to notice. */
  survives?: string;
}

/** The text of a file with the mutant in it; undefined where the text to find is not there exactly once. */
export function mutated(text: string, { find, replace }: Pick<Mutant, 'find' | 'replace'>): string | undefined {
  const at = text.indexOf(find);
  if (at === -1 || text.includes(find, at + 1)) return undefined;
  return text.slice(0, at) + replace + text.slice(at + find.length);
}
