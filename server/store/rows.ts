/** Reading columns of the SQLite engine by their type, and pages of rows. */
import type { SQLOutputValue } from 'node:sqlite';
import { AppError } from '../../common/errors/app-error.ts';
import type { PageOf, PageQuery } from './store.ts';

/** A row as node:sqlite gives it. */
export type Row = Record<string, SQLOutputValue>;

/** A text column. Throws on any other type: the schema is strict, so that would be a bug. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw new TypeError(`column ${column} is not text`);
  return value;
}

/** A text column with words of a closed list, which the schema or the writer checked. */
export function word<W extends string>(row: Row, column: string): W {
  return text(row, column) as W; // only words of W are ever written to the column
}

/** An integer column. */
export function integer(row: Row, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw new TypeError(`column ${column} is not an integer`);
  return value;
}

/** An integer column of 0 and 1. */
export function flag(row: Row, column: string): boolean {
  return integer(row, column) === 1;
}

/** A text column with a JSON list of texts. */
export function texts(row: Row, column: string): string[] {
  const value: unknown = JSON.parse(text(row, column));
  if (!Array.isArray(value)) throw new TypeError(`column ${column} is not a list`);
  return value.map(String);
}

/** A blob column, copied. */
export function blob(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw new TypeError(`column ${column} is not a blob`);
  return new Uint8Array(value);
}

/** A column that may be null, as undefined. */
export function optional<T>(row: Row, column: string, read: (row: Row, column: string) => T): T | undefined {
  return row[column] === null ? undefined : read(row, column);
}

/** A page from rows of which one more than the page holds was asked for; they go down by `sequence`. */
export function pageOf<T>(rows: Row[], size: number, read: (row: Row) => T): PageOf<T> {
  const kept = rows.slice(0, size);
  const last = kept.at(-1);
  const more = rows.length > size && last !== undefined;
  return { rows: kept.map(read), next: more ? String(integer(last, 'sequence')) : undefined };
}

/**
 * The sequence below which a page begins.
 *
 * @throws AppError invalid-request when the page token is none of ours
 */
export function sequenceBefore(page: PageQuery): number {
  if (page.after === undefined) return Number.MAX_SAFE_INTEGER;
  if (!/^\d{1,15}$/.test(page.after)) {
    throw new AppError('invalid-request', 'the page token is not one that a page before gave: begin without one');
  }
  return Number(page.after);
}
