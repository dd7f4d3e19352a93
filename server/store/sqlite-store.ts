/** The store in one SQLite file: WAL, synchronous=FULL, one transaction a method. */
import type { Clock } from '../../common/time/clock.ts';
import { sqliteCertificates } from './sqlite-certificates.ts';
import { openSqliteEngine } from './sqlite-engine.ts';
import { sqliteEvents } from './sqlite-events.ts';
import { sqliteNodes } from './sqlite-nodes.ts';
import { sqliteTokens } from './sqlite-tokens.ts';
import type { Store } from './store.ts';

/**
 * Opens the store, making the file when there is none; its folder must exist.
 *
 * @throws AppError unavailable when the file cannot be opened or was written by a newer version
 */
export function openSqliteStore(path: string, clock: Clock): Store {
  const engine = openSqliteEngine(path);
  return {
    ...sqliteNodes(engine),
    ...sqliteTokens(engine),
    ...sqliteCertificates(engine),
    ...sqliteEvents(engine, clock),
    close: () => engine.close(),
  };
}
