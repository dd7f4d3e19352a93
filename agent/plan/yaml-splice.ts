/** Cuts and pastes in the text of a YAML document, at the places that its parsed nodes name. */
import { isCollection, isNode, isPair, type Node, type Pair, type YAMLMap } from 'yaml';

/** A scalar, or mappings of scalars where a whole branch is new. */
export type YamlValue = string | boolean | { [key: string]: YamlValue };

/** Puts a scalar in the place of a pair's value. */
export function replaceValue(text: string, pair: Pair, value: YamlValue): string {
  const written = renderFlow(value, isJson(text, pair));
  const [start, end] = isNode(pair.value) ? rangeOf(pair.value) : [0, 0];
  if (start === end) return insert(text, text.indexOf(':', rangeOf(pair.key)[1]) + 1, ` ${written}`); // nothing is there
  const tail = text.slice(start, end).endsWith('\n') ? newlineOf(text) : ''; // a block scalar ends with its line
  return `${text.slice(0, start)}${written}${tail}${text.slice(end)}`;
}

/** Gives a pair another key. */
export function renameKey(text: string, pair: Pair, key: string): string {
  const [start, end] = rangeOf(pair.key);
  return `${text.slice(0, start)}${isJson(text, pair) ? JSON.stringify(key) : key}${text.slice(end)}`;
}

/** Adds a pair at the end of a mapping, in the mapping's own style. */
export function addPair(text: string, map: YAMLMap, key: string, value: YamlValue): string {
  const first = map.items[0];
  const last = map.items.at(-1);
  if (first === undefined || last === undefined) {
    return insert(text, rangeOf(map)[0] + 1, renderPair(key, value, text.trimStart().startsWith('{"')));
  }
  const at = endOf(last);
  const column = columnOf(text, first);
  if (map.flow === true) {
    const ownLine = text.slice(rangeOf(first.key)[0] - column, rangeOf(first.key)[0]).trim() === '';
    const separator = ownLine ? `,${newlineOf(text)}${' '.repeat(column)}` : ', ';
    return insert(text, at, `${separator}${renderPair(key, value, isJson(text, first))}`);
  }
  const lines = renderBlock(key, value, ' '.repeat(column)).join(newlineOf(text));
  const end = endOfLine(text, at);
  const gap = end === 0 || text[end - 1] === '\n' ? '' : newlineOf(text);
  return insert(text, end, `${gap}${lines}${newlineOf(text)}`);
}

/** Takes a pair out of a mapping, with the rest of its line where the mapping is written a key a line. */
export function removePair(text: string, map: YAMLMap, pair: Pair): string {
  const index = map.items.indexOf(pair);
  const [start] = rangeOf(pair.key);
  const next = map.items[index + 1];
  const previous = map.items[index - 1];
  const lineStart = start - columnOf(text, pair);
  if (map.flow !== true && text.slice(lineStart, start).trim() === '') {
    return cut(text, lineStart, endOfLine(text, endOf(pair)));
  }
  if (next !== undefined) return cut(text, start, rangeOf(next.key)[0]);
  return cut(text, previous === undefined ? start : endOf(previous), endOf(pair));
}

function renderFlow(value: YamlValue, json: boolean): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return !json && /^\/[\w./-]+$/.test(value) ? value : JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, inner]) => renderPair(key, inner, json))
    .join(', ')}}`;
}

function renderPair(key: string, value: YamlValue, json: boolean): string {
  return `${json ? JSON.stringify(key) : key}: ${renderFlow(value, json)}`;
}

function renderBlock(key: string, value: YamlValue, indent: string): string[] {
  if (typeof value !== 'object') return [`${indent}${renderPair(key, value, false)}`];
  const inner = Object.entries(value).flatMap(([name, below]) => renderBlock(name, below, `${indent}  `));
  return [`${indent}${key}:`, ...inner];
}

function insert(text: string, at: number, piece: string): string {
  return `${text.slice(0, at)}${piece}${text.slice(at)}`;
}

function cut(text: string, start: number, end: number): string {
  return `${text.slice(0, start)}${text.slice(end)}`;
}

/** Where the last character of a pair's value, or of its key, ends. */
function endOf(pair: Pair): number {
  return isNode(pair.value) ? endOfNode(pair.value) : rangeOf(pair.key)[1];
}

/** The range of a block collection can take in the comments below it; the one of its last scalar does not. */
function endOfNode(node: Node): number {
  const last: unknown = isCollection(node) && node.flow !== true ? node.items.at(-1) : undefined;
  if (isPair(last)) return endOf(last);
  return isNode(last) ? endOfNode(last) : rangeOf(node)[1];
}

/** Behind the line break that follows a place; a place right behind a line break is such a place itself. */
function endOfLine(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at;
  const found = text.indexOf('\n', at);
  return found < 0 ? text.length : found + 1;
}

function columnOf(text: string, pair: Pair): number {
  const [start] = rangeOf(pair.key);
  return start - (text.lastIndexOf('\n', start - 1) + 1);
}

function isJson(text: string, pair: Pair): boolean {
  return text[rangeOf(pair.key)[0]] === '"';
}

function newlineOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** Parsed nodes always have a range; one without would be a node that was made, and there are none here. */
function rangeOf(node: unknown): readonly [number, number] {
  const range = isNode(node) ? node.range : undefined;
  if (range === undefined || range === null) throw new TypeError('a YAML node without a place in the text');
  return [range[0], range[1]];
}
