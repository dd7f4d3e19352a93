/** Variables in command lines: $FOO as a word of its own, ${FOO} anywhere, $$ (systemd v252, replace_env_argv). */
import { NotUnderstood, type Place } from './not-understood.ts';
import { isBlank } from './split-quoted.ts';

/** systemd.exec(5), "Environment variables set or propagated by the service manager": their values are not ours to know. */
const SET_BY_SYSTEMD =
  /^(PATH|LANG|LC_[A-Z]+|USER|LOGNAME|HOME|SHELL|INVOCATION_ID|TERM|[A-Z_]*PID|LISTEN_[A-Z]+|NOTIFY_SOCKET|WATCHDOG_USEC|JOURNAL_STREAM|(RUNTIME|STATE|CACHE|LOGS|CONFIGURATION|CREDENTIALS)_DIRECTORY|XDG_[A-Z_]+)$/;

/** What variables are looked up in. */
export interface VariableContext {
  environment: ReadonlyMap<string, string>;
  place: Place;
}

/**
 * What one word (unquoted, specifiers expanded) gives the program: one value, or for $FOO as the whole word as many
 * as the variable's value holds, none when it is empty or not set.
 *
 * @throws NotUnderstood for variables that only systemd knows
 */
export function expandVariables(word: string, context: VariableContext): string[] {
  const name = /^\$(?![{$])(.*)$/s.exec(word)?.[1];
  if (name !== undefined) return splitValue(lookUp(name, context));
  // "$" before anything else stays; so does "${" that is not closed or holds a ":" as shells have it
  return [
    word.replace(/\$(?:\$|\{([^:}]*)(\}|$))/g, (whole, inner?: string, end?: string) => {
      if (whole === '$$') return '$';
      return end === '}' ? lookUp(inner ?? '', context) : whole;
    }),
  ];
}

function lookUp(name: string, { environment, place }: VariableContext): string {
  const value = environment.get(name);
  if (value === undefined && SET_BY_SYSTEMD.test(name)) {
    throw new NotUnderstood(`uses $${name}, whose value only systemd knows: write it out`, place);
  }
  return value ?? '';
}

/** Quotes group and vanish, a backslash keeps the next character, and nothing is ever unbalanced (EXTRACT_RELAX). */
function splitValue(value: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < value.length; at++) {
    const character = value.charAt(at);
    if (character === '\\') word = (word ?? '') + value.charAt(++at);
    else if (quote !== '') {
      if (character === quote) quote = '';
      else word = (word ?? '') + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= '';
    } else if (!isBlank(character)) word = (word ?? '') + character;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  return word === undefined ? words : [...words, word];
}
