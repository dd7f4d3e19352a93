import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuthorityLine, RotationRecord } from '../store/store.ts';
import { nextRecord, startedRecord } from './steps.ts';

const settled: RotationRecord = {
  ...{ generation: 3, phase: 'settled', phaseStartedAtMs: 0, automatic: false },
  ...{ authorities: [], lines: [] },
};

/** Through all phases to the end. */
function ended(before: RotationRecord): { drop: AuthorityLine | undefined; end: RotationRecord } {
  const drop = nextRecord(nextRecord(before, 1), 2);
  assert.equal(drop.phase, 'drop');
  return { drop: drop.lines[0], end: nextRecord(drop, 3) };
}

describe('the end of a change of roots', () => {
  it('drops the CA that was replaced, and leaves the other roots of its file trusted, time after time', () => {
    const line: AuthorityLine = {
      ...{ authority: 'kubernetes', current: 'cluster', old: ['partner'], oldSigner: '', retired: [] },
    };
    const options = { automatic: false, nowMs: 0 };
    const first = startedRecord(settled, ['kubernetes'], [{ line, pin: 'new' }], options);
    assert.deepEqual(first.lines[0]?.old, ['cluster', 'partner'], 'both are trusted on the way');
    const { drop, end } = ended(first);
    assert.deepEqual([drop?.current, drop?.old, drop?.retired], ['new', ['partner'], ['cluster']]);
    assert.deepEqual([end.phase, end.lines[0]], ['settled', drop]);
    assert.ok(drop);
    const { drop: again } = ended(startedRecord(end, ['kubernetes'], [{ line: drop, pin: 'newer' }], options));
    assert.deepEqual([again?.current, again?.old, again?.retired], ['newer', ['partner'], ['new', 'cluster']]);
  });

  it('drops the first root of a file whose key is not here, and no other authority’s', () => {
    const lines: AuthorityLine[] = [
      { authority: 'etcd', current: 'e', old: ['x'], oldSigner: '', retired: [] },
      { authority: 'kubernetes', current: 'ours', old: ['cluster', 'partner'], oldSigner: '', retired: [] },
    ];
    const { end } = ended({ ...settled, phase: 'trust', authorities: ['kubernetes'], lines });
    assert.deepEqual(end.lines, [
      lines[0],
      { authority: 'kubernetes', current: 'ours', old: ['partner'], oldSigner: '', retired: ['cluster'] },
    ]);
  });
});
