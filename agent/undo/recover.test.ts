import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { applyChange } from '../apply/apply-change.ts';
import { componentFolder } from '../layout.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { changeFolder, loadChange } from '../stage/change-journal.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import { stageChange } from '../stage/stage-change.ts';
import { keepChange } from './keep-change.ts';
import { recover } from './recover.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-recover-'));
after(() => rmSync(parent, { recursive: true }));
const { signal } = new AbortController();

async function changed() {
  const node = await makeNode(parent);
  const old = await node.tree();
  const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
  const applied = await applyChange(node.deps(), staged, { permitId: 'p1' });
  const { record } = await restartUnits(node.deps(), applied);
  return { node, old, record };
}

describe('recover', () => {
  it('has nothing to do on a node without changes', async () => {
    assert.deepEqual(await recover((await makeNode(parent)).deps(), signal), []);
  });

  it('tells what was undone, why, and under which permit', async () => {
    const { node, record } = await changed();
    const [recovered, ...more] = await recover(node.deps(), signal);
    assert.equal(more.length, 0);
    assert.ok(recovered?.outcome === 'undone');
    assert.equal(recovered.changeId, record.changeId);
    assert.deepEqual(recovered.components, ['etcd', 'kube-apiserver']);
    assert.equal(recovered.permitId, 'p1');
    assert.equal(recovered.reason, 'the agent was stopped while the change was verifying');
    assert.equal(recovered.undone.units.length, 2);
  });

  it('tells what was discarded', async () => {
    const node = await makeNode(parent);
    await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const [recovered] = await recover(node.deps(), signal);
    assert.ok(recovered?.outcome === 'discarded');
    assert.equal(recovered.permitId, null);
  });

  it('reports what it cannot finish and tries again at the next start', async () => {
    const { node, old } = await changed();
    node.clusterDown = true;
    const [first] = await recover(node.deps(), signal);
    assert.ok(first?.outcome === 'unfinished');
    assert.match(first.reason, /does not answer/);
    node.clusterDown = false;
    const [second] = await recover(node.deps(), signal);
    assert.equal(second?.outcome, 'undone');
    assert.deepEqual(await node.tree(), old);
  });

  it('names an unreadable journal, leaves it alone, and recovers the others', async () => {
    const { node, old } = await changed();
    const path = join(changeFolder(node.layout, '20250101T000000Z-000000'), 'change.json');
    mkdirSync(dirname(path));
    writeFileSync(path, '{"version":9}');
    const recovered = await recover(node.deps(), signal);
    assert.deepEqual(
      recovered.map(({ outcome }) => outcome),
      ['unreadable', 'undone'],
    );
    assert.match(recovered[0]?.reason ?? '', /unknown version 9/);
    assert.equal(readFileSync(path, 'utf8'), '{"version":9}');
    assert.deepEqual(await node.tree(), old);
  });

  it('stops at the signal and leaves the change for the next start', async () => {
    const { node, record } = await changed();
    const stop = new AbortController();
    const deps = node.deps(async (name) => {
      if (name !== 'undoing') return;
      stop.abort();
      stop.signal.throwIfAborted();
    });
    await assert.rejects(recover(deps, stop.signal), { reason: 'unavailable' });
    assert.equal((await loadChange(node.layout, record.changeId)).state.name, 'undoing');
  });
});

describe('keepChange', () => {
  it('keeps the new version and the one before, and nothing of the change', async () => {
    const { node, record } = await changed();
    await keepChange(node.deps(), record);
    const versions = readdirSync(componentFolder(node.layout, 'kube-apiserver')).sort();
    assert.deepEqual(versions, ['current', 'v20250601T000000Z-bbbbbb', `v${record.changeId}`]);
    assert.deepEqual(readdirSync(node.layout.changesFolder), []);
  });

  it('leaves alone what is no version', async () => {
    const { node, record } = await changed();
    const note = join(componentFolder(node.layout, 'etcd'), 'v1-notes.txt');
    writeFileSync(note, 'x');
    await keepChange(node.deps(), record);
    assert.equal(readFileSync(note, 'utf8'), 'x');
  });

  it('refuses a change that was not restarted', async () => {
    const node = await makeNode(parent);
    const { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    await assert.rejects(keepChange(node.deps(), record), { reason: 'internal', message: /from staged to kept/ });
  });
});
