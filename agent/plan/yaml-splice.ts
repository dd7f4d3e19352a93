/** Cuts and pastes pairs of mappings in the text of a YAML document, at the places that its parsed nodes name. */
import { isNode, type Pair, type YAMLMap } from 'yaml';
import {
  cut,
  endOfLine,
  endOfNode,
  insert,
  insertInFlow,
  insertLines,
  isJsonText,
  newlineOf,
  rangeOf,
  renderBlock,
  renderFlow,
  renderPair,
  startOfLine,
  type YamlValue,
} from './yaml-text.ts';

/**
 * Puts a value in the place of a pair's value.
 *
 * @param flow whether the pair stands between braces
 */
export function replaceValue(text: string, pair: Pair, value: YamlValue, flow: boolean): string {
  const written = renderFlow(value, { json: isJson(text, pair), flow });
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
    return insert(text, rangeOf(map)[0] + 1, renderPair(key, value, { json: isJsonText(text), flow: true }));
  }
  if (map.flow === true) {
    const written = renderPair(key, value, { json: isJson(text, first), flow: true });
    return insertInFlow(text, rangeOf(first.key)[0], endOf(last), written);
  }
  return insertLines(text, endOf(last), renderBlock(key, value, ' '.repeat(columnOf(text, first))));
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

/** Where the last character of a pair's value, or of its key, ends. */
function endOf(pair: Pair): number {
  return isNode(pair.value) ? endOfNode(pair.value) : rangeOf(pair.key)[1];
}

function columnOf(text: string, pair: Pair): number {
  const [start] = rangeOf(pair.key);
  return start - startOfLine(text, start);
}

function isJson(text: string, pair: Pair): boolean {
  return text[rangeOf(pair.key)[0]] === '"';
}
