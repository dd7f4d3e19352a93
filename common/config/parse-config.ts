/** Reading a YAML configuration file with a strict schema: what is wrong is named with file and line. */
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { AppError } from '../errors/app-error.ts';

type Issue = z.core.$ZodIssue;

/** More than anybody reads at once. */
const shownIssues = 10;

/**
 * The configuration in a YAML text; an empty text is an empty map, so that every field takes its default.
 *
 * @param path names the file in messages; it is not read
 * @throws AppError invalid-request with one "PATH:LINE: what is wrong" for each fault
 */
export function parseConfig<Schema extends z.ZodType>(schema: Schema, text: string, path: string): z.output<Schema> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const [syntax] = [...document.errors, ...document.warnings];
  if (syntax !== undefined) throw refusal([`${path}:${lineAt(syntax.pos[0])}: ${lowerFirst(syntax.message)}`]);

  const parsed = schema.safeParse(toValue(document, path));
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.flatMap((issue) => faultsOf(issue, document));
  throw refusal(faults.map(({ offset, message }) => `${path}:${lineAt(offset)}: ${message}`));
}

/** Aliases may not blow a small file up; the yaml package refuses that while it makes the value. */
function toValue(document: Document, path: string): unknown {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 10 });
    return value ?? {};
  } catch (error) {
    throw new AppError('invalid-request', `${path}: the aliases in it cannot be resolved: write the values out`, {
      cause: error,
    });
  }
}

/** One fault an issue, but one for each unknown key. */
function faultsOf(issue: Issue, document: Document): { offset: number; message: string }[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      offset: keyOffset(document, issue.path, key),
      message: `unknown field ${[...issue.path, key].map(String).join('.')}: remove it, or correct its name`,
    }));
  }
  const name = issue.path.map(String).join('.');
  return [
    { offset: valueOffset(document, issue.path), message: `${name === '' ? 'the file' : name}: ${wordsOf(issue)}` },
  ];
}

function wordsOf(issue: Issue): string {
  const absent = issue.code === 'invalid_type' && /received undefined$/.test(issue.message);
  return absent ? 'is missing' : lowerFirst(issue.message);
}

/** Where a value stands, or where the nearest map stands in which it is missing. */
function valueOffset(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length >= 0; length--) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) return node.range[0];
  }
  return 0;
}

function keyOffset(document: Document, path: readonly PropertyKey[], key: string): number {
  const map: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  const pair = isMap(map) ? map.items.find((item) => String(item.key) === key) : undefined;
  return isNode(pair?.key) && pair.key.range ? pair.key.range[0] : valueOffset(document, path);
}

function refusal(faults: string[]): AppError {
  const more = faults.length > shownIssues ? [`and ${faults.length - shownIssues} more`] : [];
  return new AppError('invalid-request', [...faults.slice(0, shownIssues), ...more].join('; '));
}

function lowerFirst(text: string): string {
  return text.slice(0, 1).toLowerCase() + text.slice(1).replace(/\.$/, '');
}
