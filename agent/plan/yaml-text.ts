/** Places in the text of a YAML document, as its parsed nodes name them, and how new values are written there. */
import { isCollection, isNode, isPair, type Node } from 'yaml';

/** A scalar, or mappings and lists of scalars where a whole branch is new. */
export type YamlValue = string | boolean | { [key: string]: YamlValue } | readonly YamlValue[];

/** How a value has to be written. */
export interface YamlStyle {
  /** Keys and strings in double quotes. */
  json: boolean;
  /** Between braces or brackets, where a comma ends a plain word. */
  flow: boolean;
}

/** Words that YAML 1.1, which Kubernetes reads, takes for something else than text. */
const reserved = /^(?:true|false|yes|no|on|off|y|n|null)$/i;
const plainWord = /^[A-Za-z][\w-]*$/;
const plainFlag = /^(?:\/|--?[a-z])[\w./=:@+-]*$/;
const plainFlagInBlock = /^(?:\/|--?[a-z])[\w./=:@+,[\]-]*$/;

/** The value on one line. */
export function renderFlow(value: YamlValue, style: YamlStyle): string {
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return isPlain(value, style) ? value : JSON.stringify(value);
  const inner = { ...style, flow: true };
  if (isList(value)) return `[${value.map((item) => renderFlow(item, inner)).join(', ')}]`;
  const pairs = Object.entries(value).map(([key, each]) => renderPair(key, each, inner));
  return `{${pairs.join(', ')}}`;
}

/** "key: value" on one line. */
export function renderPair(key: string, value: YamlValue, style: YamlStyle): string {
  return `${style.json ? JSON.stringify(key) : key}: ${renderFlow(value, style)}`;
}

/** A pair in block style, a line each, without line breaks. */
export function renderBlock(key: string, value: YamlValue, indent: string): string[] {
  if (typeof value !== 'object') return [`${indent}${renderPair(key, value, { json: false, flow: false })}`];
  if (isList(value)) return [`${indent}${key}:`, ...value.flatMap((item) => renderItem(item, indent))];
  const inner = Object.entries(value).flatMap(([name, below]) => renderBlock(name, below, `${indent}  `));
  return [`${indent}${key}:`, ...inner];
}

/** An item of a list in block style, a line each; the dash stands at the indent. */
export function renderItem(item: YamlValue, indent: string): string[] {
  if (typeof item !== 'object' || isList(item)) return [`${indent}- ${renderFlow(item, { json: false, flow: false })}`];
  const lines = Object.entries(item).flatMap(([key, below]) => renderBlock(key, below, `${indent}  `));
  return lines.map((line, index) => (index === 0 ? `${indent}- ${line.slice(indent.length + 2)}` : line));
}

/** The text with a piece put in. */
export function insert(text: string, at: number, piece: string): string {
  return `${text.slice(0, at)}${piece}${text.slice(at)}`;
}

/** The text without a part. */
export function cut(text: string, start: number, end: number): string {
  return `${text.slice(0, start)}${text.slice(end)}`;
}

/** The text with lines put in behind the line that a place is in; that line gets its line break when it has none. */
export function insertLines(text: string, at: number, lines: readonly string[]): string {
  const newline = newlineOf(text);
  const end = endOfLine(text, at);
  const gap = end === 0 || text[end - 1] === '\n' ? '' : newline;
  return insert(text, end, `${gap}${lines.join(newline)}${newline}`);
}

/** The text with an element put in behind another one of a flow collection, in a line of its own where that one is. */
export function insertInFlow(text: string, first: number, at: number, written: string): string {
  const before = text.slice(startOfLine(text, first), first);
  return insert(text, at, `,${before.trim() === '' ? `${newlineOf(text)}${before}` : ' '}${written}`);
}

/** The range of a block collection can take in the comments below it; the one of its last scalar does not. */
export function endOfNode(node: Node): number {
  const last: unknown = isCollection(node) && node.flow !== true ? node.items.at(-1) : undefined;
  if (isPair(last)) return isNode(last.value) ? endOfNode(last.value) : rangeOf(last.key)[1];
  return isNode(last) ? endOfNode(last) : rangeOf(node)[1];
}

/** Behind the line break that follows a place; a place right behind a line break is such a place itself. */
export function endOfLine(text: string, at: number): number {
  if (at > 0 && text[at - 1] === '\n') return at;
  const found = text.indexOf('\n', at);
  return found < 0 ? text.length : found + 1;
}

/** Where the line begins that a place is in. */
export function startOfLine(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1;
}

/** The line break that the text uses. */
export function newlineOf(text: string): string {
  return text.includes('\r\n') ? '\r\n' : '\n';
}

/** True for a text that is JSON as a whole. */
export function isJsonText(text: string): boolean {
  return /^\s*\{\s*"/.test(text);
}

/** Parsed nodes always have a range; one without would be a node that was made, and there are none here. */
export function rangeOf(node: unknown): readonly [number, number] {
  const range = isNode(node) ? node.range : undefined;
  if (range === undefined || range === null) throw new TypeError('a YAML node without a place in the text');
  return [range[0], range[1]];
}

function isPlain(value: string, { json, flow }: YamlStyle): boolean {
  if (json || value.endsWith(':')) return false;
  if (plainWord.test(value)) return !reserved.test(value);
  return (flow ? plainFlag : plainFlagInBlock).test(value);
}

function isList(value: YamlValue): value is readonly YamlValue[] {
  return Array.isArray(value);
}
