/** The audit and the rollout in SQLite. */
import type { Clock } from '../../common/time/clock.ts';
import { flag, integer, pageOf, type Row, sequenceBefore, text, texts } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { EventDraft, EventRow, Store } from './store.ts';

type EventMethods = Pick<Store, 'appendEvent' | 'listEvents' | 'getRollout' | 'putRollout'>;

/** Appends an event within a step that writes. */
export type AppendEvent = (event: EventDraft) => void;

/** What appends events, so that a step and what is said of it are one transaction. */
export function eventAppender(engine: SqliteEngine, clock: Clock): AppendEvent {
  const append = engine.prepare('INSERT INTO events VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)');
  return ({ kind, actor, node, reason, message, source }) =>
    void append.run(clock.nowMs(), kind, actor, node, reason, message, source);
}

/** The methods of the store that deal with events and the rollout. */
export function sqliteEvents(engine: SqliteEngine, append: AppendEvent): EventMethods {
  const selectPage = engine.prepare(`
    SELECT * FROM events WHERE sequence < $before
      AND ($node IS NULL OR node = $node)
      AND ($kind IS NULL OR kind = $kind OR substr(kind, 1, length($kind) + 1) = $kind || '.')
    ORDER BY sequence DESC LIMIT $limit`);
  const selectRollout = engine.prepare('SELECT * FROM rollout');
  const updateRollout = engine.prepare(
    'UPDATE rollout SET paused = ?, reason = ?, node = ?, paused_at_ms = ?, retry_generation = ?, left_out = ?',
  );

  return {
    appendEvent: (event) => engine.write(() => append(event)),
    listEvents: (filter, page) =>
      engine.read(() => {
        const rows = selectPage.all({
          before: sequenceBefore(page),
          node: filter.node ?? null,
          kind: filter.kind ?? null,
          limit: page.size + 1,
        });
        return pageOf(rows, page.size, eventOf);
      }),
    getRollout: () =>
      engine.read(() => {
        const row = selectRollout.get();
        if (row === undefined) throw new TypeError('the rollout is missing'); // the schema puts it there
        return {
          paused: flag(row, 'paused'),
          reason: text(row, 'reason'),
          node: text(row, 'node'),
          pausedAtMs: integer(row, 'paused_at_ms'),
          retryGeneration: integer(row, 'retry_generation'),
          leftOut: texts(row, 'left_out'),
        };
      }),
    putRollout: (rollout) =>
      engine.write(() => {
        const { paused, reason, node, pausedAtMs, retryGeneration, leftOut } = rollout;
        updateRollout.run(paused ? 1 : 0, reason, node, pausedAtMs, retryGeneration, JSON.stringify(leftOut));
      }),
  };
}

function eventOf(row: Row): EventRow {
  return {
    sequence: integer(row, 'sequence'),
    atMs: integer(row, 'at_ms'),
    kind: text(row, 'kind'),
    actor: text(row, 'actor'),
    node: text(row, 'node'),
    reason: text(row, 'reason'),
    message: text(row, 'message'),
    source: text(row, 'source'),
  };
}
