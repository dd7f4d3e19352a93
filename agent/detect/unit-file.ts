/** Unit files as systemd reads them: sections, assignments, continued lines, comments (systemd.syntax(7), v252 conf-parser.c). */
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';

/** One assignment of a unit file. */
export interface Assignment {
  section: string;
  key: string;
  /** Stripped; continued lines are joined, each backslash and line end having become one space. */
  value: string;
  /** Where it begins. */
  path: string;
  /** Line on which it begins, counted from 1. */
  line: number;
}

interface LogicalLine {
  text: string;
  line: number;
}

/**
 * All assignments of a unit file or drop-in in their order, resets (empty values) included.
 *
 * @throws NotUnderstood with the line for what systemd itself refuses (a broken section header) and for what it drops
 *   with a warning (a line that is no assignment, an assignment before the first section): neither is guessed at
 */
export function parseUnitFile(file: SourceFile): Assignment[] {
  const assignments: Assignment[] = [];
  let section: string | undefined;
  for (const { text, line } of logicalLines(file.text)) {
    const place = { path: file.path, line };
    if (text.startsWith('[')) {
      if (!/^\[[^\p{Cc}"'\\\]]+\]$/u.test(text)) throw new NotUnderstood('the section header is broken', place);
      section = text.slice(1, -1);
      continue;
    }
    const equals = text.indexOf('=');
    if (equals <= 0) throw new NotUnderstood('the line is no assignment KEY=VALUE', place);
    if (section === undefined) throw new NotUnderstood('the assignment stands before the first section', place);
    assignments.push({ section, key: strip(text.slice(0, equals)), value: strip(text.slice(equals + 1)), ...place });
  }
  return assignments;
}

/** Assignments of a key that are in force: an empty one takes back those before it. */
export function inForce(assignments: readonly Assignment[], section: string, key: string): Assignment[] {
  const all = assignments.filter((one) => one.section === section && one.key === key);
  return all.slice(all.findLastIndex((one) => one.value === '') + 1);
}

/** The last value of a key that holds only one, or '' when it is not set. */
export function lastValue(assignments: readonly Assignment[], section: string, key: string): string {
  return assignments.findLast((one) => one.section === section && one.key === key)?.value ?? '';
}

/** Without systemd's whitespace at both ends; String.trim would take more. */
export function strip(text: string): string {
  return text.replace(/^[ \t\n\r]+|[ \t\n\r]+$/g, '');
}

/** Stripped lines that say something. A comment line vanishes even between continued lines, an empty line ends them. */
function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = [];
  let open: LogicalLine | undefined;
  const close = () => {
    if (open !== undefined && strip(open.text) !== '') lines.push({ text: strip(open.text), line: open.line });
    open = undefined;
  };
  for (const [index, physical] of text
    .replace(/^\uFEFF/, '')
    .split(/\r\n|\n|\r/)
    .entries()) {
    if (/^[ \t]*[#;]/.test(physical)) continue;
    open = { text: (open?.text ?? '') + physical, line: open?.line ?? index + 1 };
    const backslashes = /\\*$/.exec(physical)?.[0].length ?? 0;
    if (backslashes % 2 === 1) open.text = `${open.text.slice(0, -1)} `;
    else close();
  }
  close();
  return lines;
}
