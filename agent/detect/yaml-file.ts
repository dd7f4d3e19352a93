/** YAML files of Kubernetes, read only to look at them. */
import { type Document, isMap, isScalar, isSeq, visit, type YAMLMap } from 'yaml';
import { messageOf } from '../../common/errors/app-error.ts';
import type { SourceFile } from './detected.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseForeignYaml } from './parse-yaml.ts';

/** A parsed file whose top is a mapping. */
export interface YamlFile {
  document: Document;
  top: YAMLMap;
  /** Line of a node, counted from 1. */
  lineOf(node: unknown): number;
}

/**
 * Parses a file of one YAML document.
 *
 * @throws NotUnderstood with the line when it is no YAML, holds a key twice or several documents, or no mapping, or merges mappings,
 *   which Go's parsers do and this one does not
 */
export function parseYamlFile(file: SourceFile): YamlFile {
  const { path, text } = file;
  const document = parse(file);
  const [error] = document.errors;
  if (error !== undefined) {
    const line = error.linePos?.[0].line;
    throw new NotUnderstood(`is no YAML that is understood: ${firstLine(error.message)}`, { path, line }, error);
  }
  const top = document.contents;
  if (!isMap(top)) throw new NotUnderstood('is no YAML mapping', { path, line: 1 });
  const lineOf = (node: unknown) => text.slice(0, offsetOf(node)).split('\n').length;
  visit(top, {
    Pair: (_, { key }) => {
      if (!isScalar(key) || key.value !== '<<' || key.type !== 'PLAIN') return;
      throw new NotUnderstood('takes keys from elsewhere with "<<": write them out', { path, line: lineOf(key) });
    },
  });
  return { document, top, lineOf };
}

/**
 * A text at a path of keys.
 *
 * @returns '' when nothing stands there
 * @throws NotUnderstood with the line when something else than a text stands there
 */
export function textAt(file: SourceFile, yaml: YamlFile, keys: readonly string[]): string {
  const value = valueAt(file, yaml, keys);
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  const line = yaml.lineOf(yaml.document.getIn(keys, true));
  throw new NotUnderstood(`${keys.join('.')} is no text`, { path: file.path, line });
}

/**
 * The texts of a list at a path of keys.
 *
 * @returns none when nothing stands there
 * @throws NotUnderstood with the line when something else than a list of texts stands there
 */
export function textsAt(file: SourceFile, yaml: YamlFile, keys: readonly string[]): string[] {
  const value = valueAt(file, yaml, keys);
  if (value === undefined || value === null) return [];
  const texts = isSeq(value) ? value.items.map((item) => (isScalar(item) ? item.value : item)) : [value];
  const isText = (text: unknown): text is string => typeof text === 'string';
  if (isSeq(value) && texts.every(isText)) return texts;
  const line = yaml.lineOf(yaml.document.getIn(keys, true));
  throw new NotUnderstood(`${keys.join('.')} is no list of texts`, { path: file.path, line });
}

/** Kubernetes and etcd read YAML 1.1, which has more words for true than the parser here, which reads 1.2. */
export function isTrue(value: unknown): boolean {
  return /^(y|yes|on|true)$/i.test(String(value));
}

/** As {@link textAt}, whatever stands there; collections come as their nodes. */
function valueAt(file: SourceFile, yaml: YamlFile, keys: readonly string[]): unknown {
  for (let depth = 1; depth < keys.length; depth++) {
    const parent = yaml.document.getIn(keys.slice(0, depth), true);
    if (parent === undefined || isMap(parent)) continue;
    if (yaml.document.getIn(keys.slice(0, depth)) === null) return undefined;
    const line = yaml.lineOf(parent);
    throw new NotUnderstood(`${keys.slice(0, depth).join('.')} is no mapping`, { path: file.path, line });
  }
  return yaml.document.getIn(keys);
}

function parse(file: SourceFile): Document {
  try {
    return parseForeignYaml(file.text);
  } catch (error) {
    throw new NotUnderstood(`is no YAML that is understood: ${messageOf(error)}`, { path: file.path }, error);
  }
}

function offsetOf(node: unknown): number {
  if (typeof node !== 'object' || node === null || !('range' in node) || !Array.isArray(node.range)) return 0;
  const [start] = node.range as unknown[]; // Array.isArray gives any[]
  return typeof start === 'number' ? start : 0;
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.replace(/:$/, '') ?? '';
}
