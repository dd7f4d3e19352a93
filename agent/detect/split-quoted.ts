/** Words between blanks with quotes and C escapes, the way of systemd's extract_first_word (systemd.syntax(7), "Quoting"). */
import { NotUnderstood, type Place } from './not-understood.ts';

/** A word before specifiers and variables. */
export interface QuotedWord {
  /** As it stands, quotes and escapes included. */
  raw: string;
  /** Unquoted and unescaped. */
  text: string;
}

const SIMPLE: Partial<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  s: ' ',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** Encoded characters: \xHH, \NNN octal, \uHHHH, \UHHHHHHHH. */
const NUMERIC = /x([0-9A-Fa-f]{2})|([0-3][0-7]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})/y;

/**
 * Splits a text into words. Quotes may begin anywhere in a word.
 *
 * @param unknownEscapes - 'keep' leaves backslash and character as they are, as in command lines; 'refuse' throws
 * @throws NotUnderstood for quotes that are not closed, and for escapes that stand for NUL or for no character
 */
export function splitQuoted(text: string, place: Place, unknownEscapes: 'keep' | 'refuse'): QuotedWord[] {
  const words: QuotedWord[] = [];
  let at = 0;
  for (;;) {
    while (isBlank(text.charAt(at))) at++;
    if (at >= text.length) return words;
    const start = at;
    let quote = '';
    let value = '';
    for (; at < text.length; at++) {
      const character = text.charAt(at);
      if (character === '\\') {
        const found = readEscape(text, at + 1, place);
        if (found === undefined && unknownEscapes === 'refuse') {
          throw new NotUnderstood(`the escape ${text.slice(at, at + 2)} is not understood`, place);
        }
        value += found?.value ?? text.slice(at, at + 2);
        at += found?.length ?? 1;
      } else if (quote !== '') {
        if (character === quote) quote = '';
        else value += character;
      } else if (character === '"' || character === "'") quote = character;
      else if (isBlank(character)) break;
      else value += character;
    }
    if (quote !== '') throw new NotUnderstood(`the quote ${quote} is not closed`, place);
    words.push({ raw: text.slice(start, at), text: value });
  }
}

/** Blank, tab or line end; false for the empty string past the end. */
export function isBlank(character: string): boolean {
  return character !== '' && ' \t\n\r'.includes(character);
}

/** What the escape stands for, and how many characters after the backslash it takes; undefined when it is none. */
function readEscape(text: string, at: number, place: Place): { value: string; length: number } | undefined {
  const simple = SIMPLE[text.charAt(at)];
  if (simple !== undefined) return { value: simple, length: 1 };
  NUMERIC.lastIndex = at;
  const match = NUMERIC.exec(text);
  if (match === null) return undefined;
  const [whole, hex, octal, short, long] = match;
  const code = octal === undefined ? Number.parseInt(hex ?? short ?? long ?? '', 16) : Number.parseInt(octal, 8);
  const byte = hex !== undefined || octal !== undefined;
  if (code === 0 || (byte && code > 0x7f) || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
    throw new NotUnderstood(`the escape \\${whole} stands for no character that is understood`, place);
  }
  return { value: String.fromCodePoint(code), length: whole.length };
}
