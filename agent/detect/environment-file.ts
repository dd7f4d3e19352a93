/** The files that EnvironmentFile= names, read the way of systemd's parser (systemd.exec(5), v252 env-file.c). */
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';

/** Characters that a backslash in double quotes takes the meaning from. */
const NEED_ESCAPE = '"\\`$';

/**
 * Variables of an environment file; the last assignment of a name wins. Comment lines, empty lines and lines without
 * "=" say nothing, as systemd.exec(5) documents.
 *
 * @throws NotUnderstood with the line for what systemd drops or what its versions read differently: a quote that is not
 *   closed, a name that is no variable name ("export X"), a comment ending with a backslash before an assignment
 */
export function parseEnvironmentFile(file: SourceFile): Map<string, string> {
  const { path } = file;
  const text = file.text.replace(/\r\n?/g, '\n');
  const variables = new Map<string, string>();
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const start = at;
    const end = lineEnd(text, at);
    const content = text.slice(at, end).replace(/^[ \t]+/, '');
    const equals = content.indexOf('=');
    if (content.startsWith('#') || content.startsWith(';')) {
      if (content.endsWith('\\') && continues(text.slice(end + 1))) {
        throw new NotUnderstood(
          'the comment ends with a backslash, and versions of systemd differ on the line below it: remove the backslash',
          { path, line },
        );
      }
      at = end + 1;
    } else if (equals < 0) at = end + 1;
    else {
      const name = withoutBlanksAtEnd(content.slice(0, equals));
      if (!isVariableName(name)) {
        throw new NotUnderstood(`"${name.slice(0, 60)}" is no name of a variable: systemd ignores the line`, {
          path,
          line,
        });
      }
      const value = readValue(text, end - content.length + equals + 1);
      if (value === undefined) throw new NotUnderstood('a quote is opened here and never closed', { path, line });
      variables.set(name, value.value);
      at = value.end + 1;
    }
    line += text.slice(start, at).split('\n').length - 1;
  }
  return variables;
}

/** True for names that systemd passes on. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

/** By hand: a regular expression tries anew at each blank, and a line of a million takes it an hour. */
function withoutBlanksAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && ' \t'.includes(text.charAt(end - 1))) end--;
  return text.slice(0, end);
}

/** True when the next line is more than a comment or nothing. */
function continues(rest: string): boolean {
  return !/^[ \t]*([#;]|\n|$)/.test(rest);
}

/** The value that begins here and where its line ends; undefined for a quote without end. */
function readValue(text: string, start: number): { value: string; end: number } | undefined {
  let at = start;
  let value = '';
  for (;;) {
    while (' \t'.includes(text.charAt(at)) && at < text.length) at++;
    const opening = text.charAt(at);
    if (opening !== "'" && opening !== '"') break;
    const quoted = readQuoted(text, at + 1, opening);
    if (quoted === undefined) return undefined;
    value += quoted.value;
    at = quoted.end;
  }
  // unquoted: quotes are ordinary from here on, blanks at the end go unless something was escaped after them
  let kept = value.length;
  for (; at < text.length && text.charAt(at) !== '\n'; at++) {
    const escaped = text.charAt(at) === '\\';
    if (escaped) at++;
    const character = text.charAt(at);
    if (!(escaped && character === '\n')) value += character;
    if (escaped || !' \t'.includes(character)) kept = value.length;
  }
  return { value: value.slice(0, kept), end: at };
}

/** What stands between the quotes, and where to go on after the closing one. */
function readQuoted(text: string, start: number, quote: string): { value: string; end: number } | undefined {
  let value = '';
  for (let at = start; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === quote) return { value, end: at + 1 };
    if (quote === '"' && character === '\\') {
      const next = text.charAt(++at);
      if (NEED_ESCAPE.includes(next)) value += next;
      else if (next !== '\n') value += `\\${next}`;
    } else value += character;
  }
  return undefined;
}
