/** Command lines of ExecStart=: prefixes, words, quotes, escapes and variables (systemd.service(5), "Command lines"). */
import type { Word } from './detected.ts';
import { expandVariables } from './exec-variables.ts';
import { NotUnderstood, type Place } from './not-understood.ts';
import { expandSpecifiers, type SpecifierContext } from './specifiers.ts';
import { splitQuoted } from './split-quoted.ts';

/** What a command line is read with. */
export interface ExecContext extends SpecifierContext {
  /** Environment of the process. */
  environment: ReadonlyMap<string, string>;
  place: Place;
}

/** A command line. */
export interface ExecLine {
  /** Special characters before the program, a subset of "@-:+!". They are part of the first word's raw text. */
  prefixes: string;
  /** The program first. With the prefix "@" the second word is argv[0] and gives the program no value. */
  words: Word[];
}

/**
 * Splits one ExecStart= value. Joining the raw words by spaces gives a line that means the same.
 *
 * @throws NotUnderstood for unbalanced quotes, an empty line, several commands separated by ";", bytes that are no
 *   text, specifiers and variables whose value cannot be known
 */
export function parseExecLine(text: string, context: ExecContext): ExecLine {
  const { place } = context;
  const [first, ...rest] = splitQuoted(text, place, 'keep');
  if (first === undefined) throw new NotUnderstood('ExecStart= names no program', place);
  if ([first, ...rest].some((word) => word.raw === ';')) {
    throw new NotUnderstood('ExecStart= holds several commands separated by ";": only one is understood', place);
  }
  const prefixes = prefixesOf(first.text);
  const program = expandSpecifiers(first.text.slice(prefixes.length), context, place);
  if (program === '' || program.endsWith('/') || (program.includes('/') && !program.startsWith('/'))) {
    throw new NotUnderstood('ExecStart= names no program by absolute path or plain name', place);
  }
  const words = rest.map(({ raw, text: word }, index): Word => {
    if (index === 0 && prefixes.includes('@')) return { raw, values: [] };
    if (raw === '\\;') return { raw, values: [';'] };
    const resolved = expandSpecifiers(word, context, place);
    return { raw, values: prefixes.includes(':') ? [resolved] : expandVariables(resolved, context) };
  });
  return { prefixes, words: [{ raw: first.raw, values: [program] }, ...words] };
}

/** A raw word that systemd reads as exactly this value: specifiers, variables, quotes and escapes neutralized. */
export function quoteExecWord(value: string): string {
  const literal = value.replaceAll('%', '%%').replaceAll('$', '$$$$');
  if (/^[A-Za-z0-9_@%+=:,./$-]+$/.test(literal)) return literal;
  return `"${[...literal].map(escapeCharacter).join('')}"`;
}

/** Each prefix at most once, "!" twice; "+", "!" and "!!" exclude each other (load-fragment.c, config_parse_exec). */
function prefixesOf(word: string): string {
  let end = 0;
  for (; end < word.length; end++) {
    const taken = word.slice(0, end);
    const next = word.charAt(end);
    if (next === '!' ? taken.includes('+') || taken.split('!').length > 2 : taken.includes(next)) break;
    if (!'-@:+!'.includes(next) || (next === '+' && taken.includes('!'))) break;
  }
  return word.slice(0, end);
}

function escapeCharacter(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  const code = character.codePointAt(0) ?? 0;
  return code < 32 || code === 127 ? `\\x${code.toString(16).padStart(2, '0')}` : character;
}
