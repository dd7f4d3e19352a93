/** Edits of YAML and JSON texts that change only the bytes that must change: comments, order, quotes and indent stay. */
import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, isSeq, type Pair, visit, type YAMLMap, type YAMLSeq } from 'yaml';
import { AppError } from '../../common/errors/app-error.ts';
import { parseForeignYaml } from '../detect/parse-yaml.ts';
import { addPair, removePair, renameKey, replaceValue } from './yaml-splice.ts';
import { appendItem, removeItem, replaceItem } from './yaml-splice-list.ts';
import { rangeOf, type YamlValue } from './yaml-text.ts';

/** Keys of mappings and indexes of lists, from the root. */
export type YamlPath = readonly (string | number)[];

/** One edit. */
export type YamlEdit =
  /** A pair, or an item that is there. Branches that are missing are made. What is there already leaves the text as it is. */
  | { kind: 'set'; path: YamlPath; to: string | boolean }
  /** Gives a pair another key at its place. */
  | { kind: 'rename'; path: YamlPath; to: string }
  /** Takes a pair or an item out; one that is not there is fine. */
  | { kind: 'remove'; path: YamlPath }
  /** Adds an item to the list that stands at the path; a missing list is made. */
  | { kind: 'append'; path: YamlPath; item: YamlValue }
  /** Replaces a part of an item that is text, everywhere in it; how its lines are laid out stays. */
  | { kind: 'substitute'; path: YamlPath; from: string; to: string };

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
  const document = parseForeignYaml(text);
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
  let owner: Pair | undefined;
  for (const [depth, key] of edit.path.entries()) {
    const rest = edit.path.slice(depth + 1);
    if (isSeq(node)) {
      if (rest.length === 0 && edit.kind !== 'append') return spliceItem(text, node, owner, edit);
      node = node.items[Number(key)];
      owner = undefined;
      continue;
    }
    if (!isMap(node)) throw refused(edit.path, 'lies below something that is no mapping');
    const pair = pairOf(node, key);
    if (pair === undefined) {
      const made = madeBy(edit);
      if (made !== undefined) return addPair(text, node, String(key), nest(rest, made));
      if (edit.kind === 'remove') return text;
      throw refused(edit.path, 'is not there');
    }
    if (rest.length === 0) return splicePair(text, node, pair, edit);
    const made = isNull(pair) ? madeBy(edit) : undefined;
    if (made !== undefined) return replaceValue(text, pair, nest(rest, made), node.flow === true);
    node = pair.value;
    owner = pair;
  }
  throw refused(edit.path, 'is no key of a mapping');
}

function splicePair(text: string, map: YAMLMap, pair: Pair, edit: YamlEdit): string {
  switch (edit.kind) {
    case 'set':
      if (pair.value !== null && !isScalar(pair.value)) throw refused(edit.path, 'is no single value');
      if (isScalar(pair.value) && pair.value.value === edit.to) return text;
      return replaceValue(text, pair, edit.to, map.flow === true);
    case 'rename':
      return renameKey(text, pair, edit.to);
    case 'remove':
      return removePair(text, map, pair);
    case 'append':
      if (isNull(pair)) return replaceValue(text, pair, [edit.item], map.flow === true);
      if (!isSeq(pair.value)) throw refused(edit.path, 'is no list');
      return appendItem(text, pair.value, edit.item);
    case 'substitute':
      throw refused(edit.path, 'is no item of a list');
  }
}

function spliceItem(text: string, list: YAMLSeq, owner: Pair | undefined, edit: YamlEdit): string {
  const index = Number(edit.path.at(-1));
  const item = list.items[index];
  if (edit.kind === 'remove') {
    if (owner === undefined) throw refused(edit.path, 'lies in a list of lists');
    return item === undefined ? text : removeItem(text, list, index, owner);
  }
  if (!isScalar(item)) throw refused(edit.path, 'is no single value');
  if (edit.kind === 'set') return item.value === edit.to ? text : replaceItem(text, list, item, edit.to);
  if (edit.kind !== 'substitute') throw refused(edit.path, 'is no key of a mapping');
  const [start, end] = rangeOf(item);
  return `${text.slice(0, start)}${text.slice(start, end).replaceAll(edit.from, () => edit.to)}${text.slice(end)}`;
}

/** What the document says after the edit. */
function expected(document: Document.Parsed, edit: YamlEdit): unknown {
  const root: unknown = document.toJS();
  const last = String(edit.path.at(-1));
  let branch = root as Record<string, unknown>; // parseYaml only gives mappings
  for (const key of edit.path.slice(0, -1)) {
    branch[key] ??= {};
    branch = branch[key] as Record<string, unknown>; // splice refuses what is no mapping and no list
  }
  switch (edit.kind) {
    case 'set':
      branch[last] = edit.to;
      break;
    case 'rename':
      branch[edit.to] = branch[last];
      delete branch[last];
      break;
    case 'remove':
      if (Array.isArray(branch)) branch.splice(Number(last), 1);
      else delete branch[last];
      break;
    case 'append':
      branch[last] = [...((branch[last] as unknown[] | null | undefined) ?? []), edit.item]; // splice refuses all but lists
      break;
    case 'substitute':
      branch[last] = String(branch[last]).replaceAll(edit.from, () => edit.to);
  }
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

/** True for "key:" and "key: null". */
function isNull({ value }: Pair): boolean {
  return value === null || (isScalar(value) && value.value === null);
}

/** What an edit puts where nothing is; undefined for one that needs something there. */
function madeBy(edit: YamlEdit): YamlValue | undefined {
  if (edit.kind === 'set') return edit.to;
  return edit.kind === 'append' ? [edit.item] : undefined;
}

function nest(path: YamlPath, value: YamlValue): YamlValue {
  return path.reduceRight<YamlValue>((inner, key) => ({ [key]: inner }), value);
}

function refused(path: YamlPath, why: string): AppError {
  return new AppError('invalid-request', `${path.join('.')} ${why}: write it in plain YAML, a key a line`);
}
