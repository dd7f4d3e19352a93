/** Edits of YAML and JSON texts that change only the bytes that must change: comments, order, quotes and indent stay. */
import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, isSeq, type Pair, parseDocument, visit, type YAMLMap } from 'yaml';
import { AppError } from '../../common/errors/app-error.ts';
import { addPair, removePair, renameKey, replaceValue, type YamlValue } from './yaml-splice.ts';

/** Keys of mappings and indexes of sequences, from the root; the last is a key. */
export type YamlPath = readonly (string | number)[];

/** One edit. */
export type YamlEdit =
  /** Branches that are missing are made. What is there already leaves the text as it is. */
  | { kind: 'set'; path: YamlPath; to: string | boolean }
  /** Gives a pair another key at its place. */
  | { kind: 'rename'; path: YamlPath; to: string }
  /** Takes a pair out; one that is not there is fine. */
  | { kind: 'remove'; path: YamlPath };

/**
 * The text with the edits made one after another. Each result is parsed and compared with what the edit means, so that an
 * unusual layout is refused and never guessed at.
 *
 * @throws AppError invalid-request
 */
export function editYaml(text: string, edits: readonly YamlEdit[]): string {
  return edits.reduce((before, edit) => {
    const document = parseYaml(before);
    const after = splice(before, document, edit);
    if (after === before || hasValue(after, expected(document, edit))) return after;
    throw refused(edit.path, 'is laid out in a way that cannot be edited');
  }, text);
}

/**
 * A document that is one mapping, without aliases.
 *
 * @throws AppError invalid-request, with the line where there is one
 */
export function parseYaml(text: string): Document.Parsed {
  const document = parseDocument(text);
  const error = document.errors[0];
  if (error !== undefined) {
    const what = (error.message.split('\n')[0] ?? '').replace(/ at line \d+.*$/, '');
    const sentence = `${what.charAt(0).toLowerCase()}${what.slice(1)}`;
    throw new AppError('invalid-request', `line ${error.linePos?.[0].line ?? 1}: ${sentence}`);
  }
  if (!isMap(document.contents)) throw new AppError('invalid-request', 'line 1: the file holds no mapping');
  visit(document, {
    Alias: () => {
      throw new AppError('invalid-request', 'the file uses YAML aliases, which cannot be edited: write the values out');
    },
  });
  return document;
}

function splice(text: string, document: Document.Parsed, edit: YamlEdit): string {
  let node: unknown = document.contents;
  for (const [depth, key] of edit.path.entries()) {
    if (isSeq(node)) {
      node = node.items[Number(key)];
      continue;
    }
    if (!isMap(node)) throw refused(edit.path, 'lies below something that is no mapping');
    const pair = pairOf(node, key);
    const rest = edit.path.slice(depth + 1);
    if (pair === undefined) {
      if (edit.kind === 'rename') throw refused(edit.path, 'is not there');
      return edit.kind === 'remove' ? text : addPair(text, node, String(key), nest(rest, edit.to));
    }
    if (rest.length === 0) return spliceLast(text, node, pair, edit);
    if (edit.kind === 'set' && (pair.value === null || (isScalar(pair.value) && pair.value.value === null))) {
      return replaceValue(text, pair, nest(rest, edit.to));
    }
    node = pair.value;
  }
  throw refused(edit.path, 'is no key of a mapping');
}

function spliceLast(text: string, map: YAMLMap, pair: Pair, edit: YamlEdit): string {
  switch (edit.kind) {
    case 'set':
      if (pair.value !== null && !isScalar(pair.value)) throw refused(edit.path, 'is no single value');
      return isScalar(pair.value) && pair.value.value === edit.to ? text : replaceValue(text, pair, edit.to);
    case 'rename':
      return renameKey(text, pair, edit.to);
    case 'remove':
      return removePair(text, map, pair);
  }
}

/** What the document says after the edit. */
function expected(document: Document.Parsed, edit: YamlEdit): unknown {
  const root: unknown = document.toJS();
  const last = String(edit.path.at(-1));
  let branch = root as Record<string, unknown>; // parseYaml only gives mappings
  for (const key of edit.path.slice(0, -1)) {
    branch[key] ??= {};
    branch = branch[key] as Record<string, unknown>; // splice refuses what is no mapping
  }
  if (edit.kind === 'rename') branch[edit.to] = branch[last];
  if (edit.kind === 'set') branch[last] = edit.to;
  else delete branch[last];
  return root;
}

function hasValue(text: string, value: unknown): boolean {
  try {
    return isDeepStrictEqual(parseYaml(text).toJS(), value);
  } catch {
    return false; // the edit broke the text
  }
}

function pairOf(map: YAMLMap, key: string | number): Pair | undefined {
  return map.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
}

function nest(path: YamlPath, value: YamlValue): YamlValue {
  return path.reduceRight<YamlValue>((inner, key) => ({ [key]: inner }), value);
}

function refused(path: YamlPath, why: string): AppError {
  return new AppError('invalid-request', `${path.join('.')} ${why}: write it in plain YAML, a key a line`);
}
