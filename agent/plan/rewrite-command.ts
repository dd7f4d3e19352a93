/** Flags of a unit's command line: ours are replaced where they stand, everything else stays as it was written. */
import type { Word } from '../detect/detected.ts';
import { quoteExecWord } from '../detect/exec-words.ts';
import { type FlagDialect, parseFlags } from '../detect/flags.ts';
import type { Place } from '../detect/not-understood.ts';

/** What shall become of a flag. */
export type FlagEdit =
  /** The last occurrence gets the value; without one the flag is appended. */
  | { set: string }
  /** Every occurrence gets the value made from its own, or goes where that is undefined, for flags whose occurrences add up; never appended. */
  | { map: (value: string) => string | undefined }
  /** Every occurrence goes. */
  | 'drop';

/** One thing that the program gets, and the word it comes from. */
export interface Token {
  wordIndex: number;
  text: string;
  fate: 'keep' | 'remove' | { becomes: string };
}

/** What becomes of a command line. */
export interface EditedCommand {
  /** All but the program. */
  tokens: Token[];
  /** What comes behind them. */
  appended: string[];
}

/** A flag with the tokens that it takes up, one or two. */
interface Occurrence {
  name: string;
  value: string;
  tokens: Token[];
}

/**
 * Words of the command line with the flags edited, ready for ExecStart=. A word from a variable that holds one of our
 * flags is written out; all others keep their text, variables and quotes included.
 *
 * @param edits - by flag name without dashes
 * @throws NotUnderstood for a command line that detection would not have taken
 */
export function rewriteCommand(
  command: readonly Word[],
  dialect: FlagDialect,
  edits: ReadonlyMap<string, FlagEdit>,
  place: Place,
): string[] {
  const { tokens, appended } = editFlags(command, dialect, edits, place);
  return [
    ...command.flatMap((word, index) =>
      render(
        word,
        tokens.filter(({ wordIndex }) => wordIndex === index),
      ),
    ),
    ...appended.map(quoteExecWord),
  ];
}

/**
 * Decides what becomes of each thing that the program gets, wherever the command line is written.
 *
 * @param edits - by flag name without dashes
 * @throws NotUnderstood for a command line that detection would not have taken
 */
export function editFlags(
  command: readonly Word[],
  dialect: FlagDialect,
  edits: ReadonlyMap<string, FlagEdit>,
  place: Place,
): EditedCommand {
  const tokens = command.flatMap(({ values }, wordIndex): Token[] =>
    wordIndex === 0 ? [] : values.map((text) => ({ wordIndex, text, fate: 'keep' })),
  );
  const found = findFlags(tokens, dialect, place);
  const appended: string[] = [];
  for (const [name, edit] of edits) {
    const own = found.filter((occurrence) => occurrence.name === name);
    const last = own.at(-1);
    if (edit === 'drop') for (const { tokens: dropped } of own) remove(dropped);
    else if ('map' in edit) for (const each of own) replaceOrRemove(each, edit.map(each.value));
    else if (last !== undefined) replace(last, edit.set);
    else appended.push(`--${name}=${edit.set}`);
  }
  return { tokens, appended };
}

/** Detection's own parser, one token a word: so its indexes are those of the tokens. */
function findFlags(tokens: readonly Token[], dialect: FlagDialect, place: Place): Occurrence[] {
  const words = tokens.map(({ text }): Word => ({ raw: text, values: [text] }));
  return parseFlags([{ raw: '', values: [''] }, ...words], dialect, place).map(({ name, value, wordIndex, words }) => ({
    name,
    value,
    tokens: tokens.slice(wordIndex - 1, wordIndex - 1 + words),
  }));
}

/** An occurrence that has the value already keeps its text. */
function replace({ name, value, tokens: [first, ...rest] }: Occurrence, wanted: string): void {
  if (value === wanted || first === undefined) return;
  first.fate = { becomes: `--${name}=${wanted}` };
  remove(rest);
}

function replaceOrRemove(occurrence: Occurrence, wanted: string | undefined): void {
  if (wanted === undefined) remove(occurrence.tokens);
  else replace(occurrence, wanted);
}

function remove(tokens: readonly Token[]): void {
  for (const token of tokens) token.fate = 'remove';
}

function render(word: Word, tokens: readonly Token[]): string[] {
  if (tokens.every(({ fate }) => fate === 'keep')) return [word.raw];
  return tokens.flatMap(({ fate, text }) => {
    if (fate === 'remove') return [];
    return [quoteExecWord(fate === 'keep' ? text : fate.becomes)];
  });
}
