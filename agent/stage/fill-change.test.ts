import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { embedded } from '../plan/placeholders.ts';
import { changeFolder, listChanges } from './change-journal.ts';
import { fakeSigned } from './fake-change.ts';
import { makeMixedChange, makeMixedNode } from './fake-mixed-change.ts';
import { markOf } from './file-state.ts';
import { fillChange } from './fill-change.ts';
import { stageChange } from './stage-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-fill-'));
after(() => rmSync(parent, { recursive: true }));

const base64 = (text: string) => Buffer.from(text).toString('base64');

describe('fillChange', () => {
  it('embeds the new key, certificate and roots of the component itself', async () => {
    const signed = fakeSigned(await makeMixedChange(await makeMixedNode(parent)));
    const text = fillChange(signed).components.at(-1)?.files[0]?.after.text;
    const { changeId } = signed.change;
    const parts = [
      ['certificate', `certificate admin a of ${changeId}`],
      ['key', `key admin a of ${changeId}`],
      ['roots', 'roots of kubernetes'],
    ];
    assert.equal(text, parts.map(([name, content = '']) => `${name} ${base64(content)}`).join(' '));
  });

  it('fills in the identifier of the change, and leaves other texts as they are', async () => {
    const signed = fakeSigned(await makeMixedChange(await makeMixedNode(parent)));
    const { components } = fillChange(signed);
    assert.match(components[1]?.files[0]?.after.text ?? '', /restarted-by: 20260101T000000Z-1a2b3c$/m);
    assert.deepEqual(components[0], signed.change.components[0]);
  });
});

describe('stageChange with placeholders', () => {
  it('hands on and journals what is going to be written, not the plan of it', async () => {
    const node = await makeMixedNode(parent);
    const { change, record } = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
    for (const [at, { files }] of record.components.entries()) {
      for (const [index, file] of files.entries()) {
        const after = change.components[at]?.files[index]?.after;
        assert.ok(after);
        assert.deepEqual(file.after, markOf(after));
        assert.doesNotMatch(after.text, /@kube-mtls/);
      }
    }
    const journal = readFileSync(join(changeFolder(node.layout, change.changeId), 'change.json'), 'utf8');
    assert.ok(!journal.includes(base64(`key admin a of ${change.changeId}`)));
  });

  it('journals what runs each component, how it takes its files up, and what restarts it', async () => {
    const node = await makeMixedNode(parent);
    const { record } = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
    assert.deepEqual(
      record.components.map(({ process, takeUp, files }) => [process.kind, takeUp, files.map((each) => each.restarts)]),
      [
        ['static-pod', 'restart', [true]],
        ['static-pod', 'restart', [true]],
        ['static-pod', 'live', []],
        ['unit', 'live', []],
        ['unit', 'restart', [false]],
        ['none', 'restart', [false]],
      ],
    );
  });

  it('refuses a place that nothing fills, and stages nothing', async () => {
    const node = await makeMixedNode(parent);
    const change = await makeMixedChange(node);
    const admin = change.components.at(-1)?.files[0];
    assert.ok(admin);
    admin.after = { ...admin.after, text: embedded('b.crt') };
    const before = await node.tree();
    await assert.rejects(stageChange(node.deps(), fakeSigned(change)), { reason: 'internal', message: /no b\.crt/ });
    assert.deepEqual(await node.tree(), before);
    assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
  });
});
