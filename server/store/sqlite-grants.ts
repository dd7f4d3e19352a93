/** Which permits were granted, in SQLite. */
import { flag, integer, text, word } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { Store } from './store.ts';

/** The methods of the store that deal with grants of permits. */
export function sqliteGrants(engine: SqliteEngine): Pick<Store, 'putGrants' | 'listGrants'> {
  const upsert = engine.prepare(`
    INSERT OR REPLACE INTO permit_grants SELECT $node, $component, $permitId, $grantedAtMs, $inShare, $stopped
    WHERE EXISTS (SELECT 1 FROM nodes WHERE name = $node)`);
  const select = engine.prepare('SELECT * FROM permit_grants ORDER BY node, component');

  return {
    putGrants: (grants) =>
      engine.write(() => {
        for (const { inShare, stopped, ...grant } of grants) {
          upsert.run({ ...grant, inShare: inShare ? 1 : 0, stopped: stopped ? 1 : 0 });
        }
      }),
    listGrants: () =>
      engine.read(() =>
        select.all().map((row) => ({
          node: text(row, 'node'),
          component: word(row, 'component'),
          permitId: text(row, 'permit_id'),
          grantedAtMs: integer(row, 'granted_at_ms'),
          inShare: flag(row, 'in_share'),
          stopped: flag(row, 'stopped'),
        })),
      ),
  };
}
