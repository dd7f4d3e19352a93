/** Cuts and pastes items of lists in the text of a YAML document, at the places that its parsed nodes name. */
import { isMap, isNode, isScalar, type Node, type Pair, Scalar, type YAMLSeq } from 'yaml';
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
  renderFlow,
  renderItem,
  startOfLine,
  type YamlValue,
} from './yaml-text.ts';

/** Puts a scalar in the place of one that is an item, in the same quotes. */
export function replaceItem(text: string, list: YAMLSeq, item: Scalar, value: string | boolean): string {
  const [start, end] = rangeOf(item);
  const tail = text.slice(start, end).endsWith('\n') ? newlineOf(text) : ''; // a block scalar ends with its line
  return `${text.slice(0, start)}${renderLike(item, value, list.flow === true)}${tail}${text.slice(end)}`;
}

/** Adds an item at the end of a list, in the list's own style; a scalar in the quotes of the one before it. */
export function appendItem(text: string, list: YAMLSeq, value: YamlValue): string {
  const first: unknown = list.items[0];
  const last: unknown = list.items.at(-1);
  if (!isNode(first) || !isNode(last)) {
    return insert(text, rangeOf(list)[0] + 1, renderFlow(value, { json: isJsonText(text), flow: true }));
  }
  const scalar = isScalar(last) && typeof value !== 'object';
  if (list.flow === true) {
    const written = scalar
      ? renderLike(last, value, true)
      : renderFlow(value, { json: isJson(text, last), flow: true });
    return insertInFlow(text, rangeOf(first)[0], rangeOf(last)[1], written);
  }
  const dash = dashOf(text, last);
  const indent = ' '.repeat(dash - startOfLine(text, dash));
  const lines = scalar ? [`${indent}- ${renderLike(last, value, false)}`] : renderItem(value, indent);
  return insertLines(text, endOfNode(last), lines);
}

/**
 * Takes an item out of a list, with its line where the list is written an item a line.
 *
 * @param owner the pair whose value the list is; it stays with an empty list when the only item goes
 */
export function removeItem(text: string, list: YAMLSeq, index: number, owner: Pair): string {
  const [previous, item, next]: unknown[] = [list.items[index - 1], list.items[index], list.items[index + 1]];
  if (!isNode(item)) return text;
  if (list.flow !== true) {
    const without = cut(text, startOfLine(text, dashOf(text, item)), endOfLine(text, endOfNode(item)));
    return list.items.length > 1 ? without : insert(without, text.indexOf(':', rangeOf(owner.key)[1]) + 1, ' []');
  }
  if (isNode(next)) return cutWithComma(text, rangeOf(item));
  return cut(text, isNode(previous) ? rangeOf(previous)[1] : rangeOf(item)[0], rangeOf(item)[1]);
}

/** An item of a flow list that others follow: with its line where it has one of its own, so that comments below it stay. */
function cutWithComma(text: string, [start, end]: readonly [number, number]): string {
  const comma = text.indexOf(',', end) + 1;
  const after = /^[ \t]*(?:#.*)?(?=\r?\n)/.exec(text.slice(comma));
  const ownLine = after !== null && text.slice(startOfLine(text, start), start).trim() === '';
  if (ownLine) return cut(text, startOfLine(text, start), endOfLine(text, comma));
  const [spaces = ''] = /^[ \t]*/.exec(text.slice(comma)) ?? [];
  return cut(text, start, comma + spaces.length);
}

function renderLike(model: Scalar, value: string | boolean, flow: boolean): string {
  if (typeof value === 'string' && model.type === Scalar.QUOTE_DOUBLE) return JSON.stringify(value);
  if (typeof value === 'string' && model.type === Scalar.QUOTE_SINGLE && !/[\r\n]/.test(value)) {
    return `'${value.replaceAll("'", "''")}'`;
  }
  return renderFlow(value, { json: false, flow });
}

/** The dash before an item. A comment between the two may hold one more; what comes of that is no YAML of the same meaning. */
function dashOf(text: string, item: Node): number {
  return text.lastIndexOf('-', rangeOf(item)[0] - 1);
}

function isJson(text: string, item: Node): boolean {
  const key = isMap(item) ? item.items[0]?.key : undefined;
  return key === undefined ? isJsonText(text) : text[rangeOf(key)[0]] === '"';
}
