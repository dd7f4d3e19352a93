/** The store in one SQLite file: WAL, synchronous=FULL, one transaction a method. */
import type { Clock } from '../../common/time/clock.ts';
import { sqliteCertificates } from './sqlite-certificates.ts';
import { openSqliteEngine } from './sqlite-engine.ts';
import { eventAppender, sqliteEvents } from './sqlite-events.ts';
import { sqliteGrants } from './sqlite-grants.ts';
import { sqliteNodes } from './sqlite-nodes.ts';
import { sqliteRotation } from './sqlite-rotation.ts';
import { sqliteTokens } from './sqlite-tokens.ts';
import type { Store } from './store.ts';

/**
 * Opens the store, making the file when there is none; its folder must exist.
 *
 * @throws AppError unavailable when the file cannot be opened or was written by a newer version
 */
export function openSqliteStore(path: string, clock: Clock): Store {
  const engine = openSqliteEngine(path);
  const append = eventAppender(engine, clock);
  return {
    ...sqliteNodes(engine),
    ...sqliteTokens(engine),
    ...sqliteCertificates(engine, append),
    ...sqliteEvents(engine, append),
    ...sqliteGrants(engine),
    ...sqliteRotation(engine, append),
    close: () => engine.close(),
  };
}
