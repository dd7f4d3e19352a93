/** Flags of Go programs in a command line: pflag for Kubernetes, the flag package for etcd. */
import type { Word } from './detected.ts';
import { NotUnderstood, type Place } from './not-understood.ts';

/** How a program reads its flags. */
export interface FlagDialect {
  /** 'pflag': --name, -v as shorthand, "_" means "-" in names. 'go': --name and -name are the same. */
  style: 'pflag' | 'go';
  /** Flags that never take their value from the next word. */
  booleans: ReadonlySet<string>;
}

/** A flag and where it stands. */
export interface Flag {
  /** Without dashes. */
  name: string;
  /** A bare flag has the value "true". */
  value: string;
  /** Index in the command of the raw word that it begins in. */
  wordIndex: number;
  /** Over how many raw words it goes: 1 for --name=value, 2 for --name value. */
  words: number;
  /** True when nothing else stands in those words; false inside an expanded $VARIABLE that holds more. */
  alone: boolean;
}

interface Value {
  text: string;
  wordIndex: number;
}

/**
 * Flags of a command line, in their order. A bare flag that is not known as boolean takes the next word unless that
 * begins like a flag: none of these programs takes arguments, so nothing else can be meant.
 *
 * @param command - the program first
 * @throws NotUnderstood for a word that is neither a flag nor the value of one, which the program would refuse
 */
export function parseFlags(command: readonly Word[], dialect: FlagDialect, place: Place): Flag[] {
  const values = command.flatMap(({ values: texts }, wordIndex): Value[] =>
    wordIndex === 0 ? [] : texts.map((text) => ({ text, wordIndex })),
  );
  const flags: Flag[] = [];
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (value === undefined) break;
    const { wordIndex } = value;
    const read = readFlag(value.text, dialect);
    if (read === undefined) throw new NotUnderstood(`the command holds "${value.text}", which is no flag`, place);
    const next = values[at + 1];
    const separate = read.value === undefined && !dialect.booleans.has(read.name) && isValue(next?.text);
    const last = separate && next !== undefined ? next.wordIndex : wordIndex;
    if (separate) at++;
    flags.push({
      name: read.name,
      value: read.value ?? (separate ? (next?.text ?? '') : 'true'),
      wordIndex,
      words: last - wordIndex + 1,
      alone: countIn(values, wordIndex, last) === (separate ? 2 : 1),
    });
  }
  return flags;
}

/** Flags by name; a repeated one holds its values in their order. */
export function flagValues(flags: readonly Flag[]): Map<string, readonly string[]> {
  const byName = new Map<string, readonly string[]>();
  for (const { name, value } of flags) byName.set(name, [...(byName.get(name) ?? []), value]);
  return byName;
}

/** The value that counts for a flag that holds one: the last; undefined when it is not given. */
export function lastFlag(flags: ReadonlyMap<string, readonly string[]>, name: string): string | undefined {
  return flags.get(name)?.at(-1);
}

/** Name and, when it is part of the same word, value. */
function readFlag(text: string, { style }: FlagDialect): { name: string; value: string | undefined } | undefined {
  const [, dashes, name, , value] = /^(--?)([^-=][^=]*)(=(.*))?$/s.exec(text) ?? [];
  if (dashes === undefined || name === undefined) return undefined;
  if (style === 'go') return { name, value };
  if (dashes === '--') return { name: name.replaceAll('_', '-'), value };
  // a shorthand: -v=2, -v2, -v 2
  const rest = text.slice(2);
  return { name: name.slice(0, 1), value: rest === '' ? undefined : rest.replace(/^=/, '') };
}

/** False for what is missing or begins like a flag; negative numbers are values. */
function isValue(text: string | undefined): boolean {
  return text !== undefined && (!text.startsWith('-') || text === '-' || /^-\d/.test(text));
}

function countIn(values: readonly Value[], first: number, last: number): number {
  return values.filter(({ wordIndex }) => wordIndex >= first && wordIndex <= last).length;
}
