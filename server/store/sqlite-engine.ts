/** The SQLite database below the store: opened, migrated, and every step of it atomic and durable. */
import { chmodSync, closeSync, openSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { migrations } from './schema.ts';

/** A database that runs steps. */
export interface SqliteEngine {
  prepare(sql: string): StatementSync;
  /** Runs a step that only reads. */
  read<T>(step: () => T): Promise<T>;
  /** Runs a step in a transaction of its own: on disk when it resolves, without any trace when it rejects. */
  write<T>(step: () => T): Promise<T>;
  close(): Promise<void>;
}

/** SQLite makes its shared memory in steps of 32 KiB. */
const LEAST_ROOM_BYTES = 64 * 1024;

/**
 * Opens or makes the database (":memory:" keeps it nowhere, for tests); its file is the owner's alone (0600), and SQLite gives its journals the same mode and owner.
 *
 * @throws AppError unavailable when it cannot be opened, or was written by a newer version
 */
export function openSqliteEngine(path: string): SqliteEngine {
  return translated(path, `cannot open the store ${path}`, () => {
    if (path !== ':memory:') {
      closeSync(openSync(path, 'a', 0o600));
      chmodSync(path, 0o600);
    }
    const database = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: 5000 });
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      migrate(database, path);
    } catch (error) {
      database.close();
      throw error;
    }
    return {
      prepare: (sql) => {
        const statement = database.prepare(sql);
        statement.setAllowUnknownNamedParameters(true); // a record may carry more than its table keeps
        return statement;
      },
      read: async (step) => translated(path, 'the store cannot be read', step),
      write: async (step) => translated(path, 'the store cannot be written', () => inTransaction(database, step)),
      close: async () => {
        if (database.isOpen) database.close();
      },
    };
  });
}

function migrate(database: DatabaseSync, path: string): void {
  inTransaction(database, () => {
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (version > migrations.length) {
      throw new AppError(
        'unavailable',
        `the store ${path} has schema ${version}, newer than this program knows (${migrations.length}): install the newer kube-mtls-server`,
      );
    }
    if (version === migrations.length) return; // opening it writes nothing then
    for (const sql of migrations.slice(version)) database.exec(sql);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
  });
}

/** Takes the write lock at once, so that what a step read still holds when it writes. */
function inTransaction<T>(database: DatabaseSync, step: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = step();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** Failures of SQLite and of files become 'unavailable'; refusals and bugs stay as they are. */
function translated<T>(path: string, what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    const fromBelow =
      error instanceof Error && 'code' in error && /^(ERR_SQLITE|ERR_INVALID_STATE|E[A-Z]+$)/.test(String(error.code));
    if (!fromBelow) throw error;
    throw new AppError('unavailable', `${what}: ${messageOf(error)}${lackOfRoom(path)}`, { cause: error });
  }
}

/** What to do when the disk is full; '' when it is not. SQLite calls it "disk I/O error" where the room for its shared memory lacks. */
function lackOfRoom(path: string): string {
  if (path === ':memory:') return '';
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < LEAST_ROOM_BYTES
      ? '; the disk with the store of the CA server is full: make room on it'
      : '';
  } catch {
    return ''; // the folder is not there: that was said already
  }
}
