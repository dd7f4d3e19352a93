/** The change of roots, and which CAs count by it, in SQLite. */
import { AppError } from '../../common/errors/app-error.ts';
import { flag, integer, type Row, text, texts, word } from './rows.ts';
import type { SqliteEngine } from './sqlite-engine.ts';
import type { AppendEvent } from './sqlite-events.ts';
import type { AuthorityLine, RotationRecord, Store } from './store.ts';

/** The methods of the store that deal with the change of roots. */
export function sqliteRotation(engine: SqliteEngine, append: AppendEvent): Pick<Store, 'getRotation' | 'putRotation'> {
  const select = engine.prepare('SELECT * FROM rotation');
  const update = engine.prepare(`
    UPDATE rotation SET generation = $generation, phase = $phase, phase_started_at_ms = $phaseStartedAtMs,
      automatic = $automatic, authorities = $authorities
    WHERE generation = $generation - 1`);
  const selectLines = engine.prepare('SELECT * FROM authority_lines ORDER BY authority');
  const deleteLines = engine.prepare('DELETE FROM authority_lines');
  const insertLine = engine.prepare('INSERT INTO authority_lines VALUES (?, ?, ?, ?, ?)');

  return {
    getRotation: () =>
      engine.read(() => {
        const row = select.get();
        if (row === undefined) throw new TypeError('the rotation is missing'); // the schema puts it there
        return rotationOf(row, selectLines.all().map(lineOf));
      }),
    putRotation: (rotation, events) =>
      engine.write(() => {
        const { automatic, authorities, lines, generation, phase, phaseStartedAtMs } = rotation;
        const { changes } = update.run({
          generation,
          phase,
          phaseStartedAtMs,
          automatic: automatic ? 1 : 0,
          authorities: JSON.stringify(authorities),
        });
        if (changes === 0) {
          throw new AppError('conflict', 'the change of roots went on meanwhile: look how it stands, and ask again');
        }
        deleteLines.run();
        for (const { authority, current, old, oldSigner, retired } of lines) {
          insertLine.run(authority, current, JSON.stringify(old), oldSigner, JSON.stringify(retired));
        }
        events.forEach(append);
      }),
  };
}

function rotationOf(row: Row, lines: AuthorityLine[]): RotationRecord {
  return {
    generation: integer(row, 'generation'),
    phase: word(row, 'phase'),
    phaseStartedAtMs: integer(row, 'phase_started_at_ms'),
    automatic: flag(row, 'automatic'),
    // only cluster authorities are ever written to the column
    authorities: texts(row, 'authorities') as RotationRecord['authorities'],
    lines,
  };
}

function lineOf(row: Row): AuthorityLine {
  return {
    authority: word(row, 'authority'),
    current: text(row, 'current'),
    old: texts(row, 'old'),
    oldSigner: text(row, 'old_signer'),
    retired: texts(row, 'retired'),
  };
}
