import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { layoutBelow } from '../layout.ts';
import {
  advanceChange,
  beginChange,
  changeFolder,
  evidenceFolder,
  forgetChange,
  listChanges,
  loadChange,
  sweepChanges,
} from './change-journal.ts';
import { type ChangeRecord, type ChangeState, isLegal, type StateName } from './change-record.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-journal-'));
after(() => rmSync(parent, { recursive: true }));

function newLayout() {
  return layoutBelow(mkdtempSync(join(parent, 'node-')));
}

function recordOf(changeId: string, createdAtMs = 1): ChangeRecord {
  return {
    version: 1,
    changeId,
    fingerprint: 'f00d',
    createdAtMs,
    state: { name: 'staging' },
    newFolders: ['/etc/kube-mtls'],
    components: [
      {
        component: 'etcd',
        process: { kind: 'unit', unit: 'etcd.service' },
        takeUp: 'restart',
        folder: '/etc/kube-mtls/pki/etcd',
        oldTarget: null,
        newTarget: `v${changeId}`,
        files: [],
        memberUpdate: { memberId: '1', before: ['http://a'], after: ['https://a'] },
        memberUpdateBegun: false,
        processBefore: null,
        restartBegun: false,
        restoredInvocationId: null,
      },
    ],
    foreign: [],
  };
}

describe('the journal of a change', () => {
  it('reads back what was written, in a folder that only its owner enters', async () => {
    const layout = newLayout();
    const record = recordOf('a');
    await beginChange(layout, record);
    assert.deepEqual(await loadChange(layout, 'a'), record);
    const next = await advanceChange(layout, record, { name: 'staged' });
    assert.deepEqual(await loadChange(layout, 'a'), next);
    assert.equal(statSync(layout.changesFolder).mode & 0o777, 0o700);
    assert.equal(statSync(changeFolder(layout, 'a')).mode & 0o777, 0o700);
    assert.equal(statSync(join(changeFolder(layout, 'a'), 'change.json')).mode & 0o777, 0o600);
  });

  it('refuses a second change of the same name and leaves the first as it is', async () => {
    const layout = newLayout();
    await beginChange(layout, recordOf('a', 1));
    await assert.rejects(beginChange(layout, recordOf('a', 2)), { reason: 'conflict' });
    assert.equal((await loadChange(layout, 'a')).createdAtMs, 1);
  });

  it('refuses an illegal step and writes nothing', async () => {
    const layout = newLayout();
    const record = recordOf('a');
    await beginChange(layout, record);
    await assert.rejects(advanceChange(layout, record, { name: 'kept', permitId: 'p' }), /from staging to kept/);
    assert.deepEqual(await loadChange(layout, 'a'), record);
  });

  it('lists changes from the oldest to the newest, without evidence and without what a crash left', async () => {
    const layout = newLayout();
    for (const [name, at] of [
      ['b', 1],
      ['c', 3],
      ['a', 2],
    ] as const) {
      await beginChange(layout, recordOf(name, at));
    }
    mkdirSync(evidenceFolder(layout, 'z'), { recursive: true });
    mkdirSync(join(layout.changesFolder, '.new-y'));
    mkdirSync(join(layout.changesFolder, '.gone-x'));
    const { records, problems } = await listChanges(layout);
    assert.deepEqual(
      records.map(({ changeId }) => changeId),
      ['b', 'a', 'c'],
    );
    assert.deepEqual(problems, []);
    await sweepChanges(layout);
    assert.ok(!existsSync(join(layout.changesFolder, '.new-y')) && !existsSync(join(layout.changesFolder, '.gone-x')));
    assert.ok(existsSync(evidenceFolder(layout, 'z')));
  });

  it('is empty on a node without changes', async () => {
    assert.deepEqual(await listChanges(newLayout()), { records: [], problems: [] });
  });

  it('forgets a change with its copies, and one that is gone already', async () => {
    const layout = newLayout();
    await beginChange(layout, recordOf('a'));
    writeFileSync(join(changeFolder(layout, 'a'), 'before-0'), 'x');
    await forgetChange(layout, 'a');
    await forgetChange(layout, 'a');
    assert.deepEqual(await listChanges(layout), { records: [], problems: [] });
    await assert.rejects(loadChange(layout, 'a'), { reason: 'not-found' });
  });

  const good = JSON.stringify(recordOf('a'));
  const unreadable: [title: string, text: string | undefined, message: RegExp][] = [
    ['torn', good.slice(0, -20), /change\.json is torn/],
    ['empty', '', /change\.json is torn/],
    ['of a later version', good.replace('"version":1', '"version":2'), /unknown version 2/],
    ['no object', '[]', /unknown version undefined/],
    ['with a state that does not exist', good.replace('"staging"', '"done"'), /at state/],
    ['with an unknown field', good.replace('{"version"', '{"extra":1,"version"'), /does not hold what it should/],
    ['with a target outside of its folder', good.replace('"va"', '"v../../etc"'), /components\.0\.newTarget/],
    ['of another change', good.replace('"changeId":"a"', '"changeId":"b"'), /is the journal of b/],
    ['missing', undefined, /holds no journal/],
  ];
  for (const [title, text, message] of unreadable) {
    it(`names a journal that is ${title} and leaves it alone`, async () => {
      const layout = newLayout();
      const folder = changeFolder(layout, 'a');
      mkdirSync(folder, { recursive: true });
      if (text !== undefined) writeFileSync(join(folder, 'change.json'), text);
      const { records, problems } = await listChanges(layout);
      assert.deepEqual(records, []);
      assert.equal(problems.length, 1);
      assert.match(problems[0]?.message ?? '', message);
      if (text !== undefined) assert.equal(readFileSync(join(folder, 'change.json'), 'utf8'), text);
    });
  }
});

describe('isLegal', () => {
  it('lets nothing leave the end, and lets no change be undone before it was switched or discarded after', () => {
    const all: StateName[] = [
      'staging',
      'staged',
      'permitted',
      'switching',
      'switched',
      'restarting',
      'verifying',
      'kept',
      'undoing',
      'undone',
      'discarded',
    ];
    const from = (to: ChangeState['name']) => all.filter((name) => isLegal(name, to));
    assert.deepEqual(from('discarded'), ['staging', 'staged', 'permitted']);
    assert.deepEqual(from('undoing'), ['switching', 'switched', 'restarting', 'verifying', 'undoing']);
    assert.deepEqual(from('kept'), ['verifying']);
    assert.deepEqual(from('undone'), ['undoing']);
    for (const end of ['kept', 'undone', 'discarded'] as const) assert.ok(!all.some((name) => isLegal(end, name)));
  });
});
