import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { randomOf } from '../../common/random/random-for-tests.ts';
import { applyChange } from '../apply/apply-change.ts';
import { componentFolder } from '../layout.ts';
import { restartUnits } from '../restart/restart-units.ts';
import { changeFolder, forgetChange, listChanges, loadChange } from '../stage/change-journal.ts';
import type { ChangeRecord } from '../stage/change-record.ts';
import { type FakeTexts, fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { keepChange } from './keep-change.ts';
import { undoChange } from './undo-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-undo-'));
after(() => rmSync(parent, { recursive: true }));

async function apply(node: FakeNode, texts?: FakeTexts): Promise<ChangeRecord> {
  const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node, texts)));
  return (await applyChange(node.deps(), staged, { permitId: 'p1' })).record;
}

/** A node whose change was applied and restarted, and the tree from before. */
async function changed() {
  const node = await makeNode(parent);
  const old = await node.tree();
  const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
  const applied = await applyChange(node.deps(), staged, { permitId: 'p1' });
  const { record } = await restartUnits(node.deps(), applied);
  return { node, old, record };
}

describe('undoChange', () => {
  it('puts back byte for byte whatever the files held, and their modes', async (test) => {
    const random = randomOf(test);
    for (let turn = 0; turn < 15; turn++) {
      const text = () => random.bytes(random.integer(5000)).toString(random.integer(2) === 0 ? 'base64' : 'latin1');
      const texts: FakeTexts = {
        environmentBefore: random.integer(4) === 0 ? undefined : text(),
        environmentAfter: text(),
        dropInBefore: text(),
        mode: [0o600, 0o640, 0o644, 0o400, 0o755][random.integer(5)] ?? 0o600,
      };
      const node = await makeNode(parent, texts);
      if (texts.environmentBefore !== undefined) chmodSync(node.at('/etc/kube-mtls/etcd.env'), texts.mode);
      const old = await node.tree();
      await undoChange(node.deps(), await apply(node, texts), 'test');
      assert.deepEqual(await node.tree(), old, JSON.stringify(texts));
    }
  });

  it('restarts exactly what was disturbed', async () => {
    const node = await makeNode(parent);
    const record = await apply(node);
    await node.start('kube-apiserver.service'); // crashed and came back by itself, with the new files
    const undone = await undoChange(node.deps(), record, 'test');
    assert.deepEqual(
      undone.units.map(({ unit, ok }) => [unit, ok]),
      [['kube-apiserver.service', true]],
    );
    assert.equal(node.unit('etcd.service').starts, 0);
  });

  it('restarts a unit whose restart was asked for, though systemd still shows the old process: the job may be queued', async () => {
    const node = await makeNode(parent);
    const staged = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const applied = await applyChange(node.deps(), staged, { permitId: 'p1' });
    const deps = node.deps(async (name) => {
      if (name === 'before systemctl restart') throw new Error('killed here');
    });
    await assert.rejects(restartUnits(deps, applied), /killed here/);
    const { units } = await undoChange(node.deps(), applied.record, 'test');
    assert.deepEqual(
      units.map(({ unit }) => unit),
      ['etcd.service', 'kube-apiserver.service'],
    );
  });

  it('restarts a unit that went down since', async () => {
    const node = await makeNode(parent);
    const record = await apply(node);
    Object.assign(node.unit('etcd.service'), { activeState: 'failed' });
    const { units } = await undoChange(node.deps(), record, 'test');
    assert.deepEqual(
      units.map(({ unit }) => unit),
      ['etcd.service'],
    );
  });

  it('starts nothing that was stopped and disabled, unless somebody started it with the new files', async () => {
    for (const started of [false, true]) {
      const node = await makeNode(parent);
      Object.assign(node.unit('etcd.service'), { activeState: 'inactive', unitFileState: 'disabled' });
      const record = await apply(node);
      if (started) await node.start('etcd.service');
      const { units } = await undoChange(node.deps(), record, 'test');
      assert.deepEqual(
        units.map(({ unit }) => unit),
        started ? ['etcd.service'] : [],
      );
    }
  });

  it('tells of a unit that does not come back with the old files either, and undoes the rest', async () => {
    const { node, old, record } = await changed();
    node.fails = (unit) => unit === 'etcd.service';
    const undone = await undoChange(node.deps(), record, 'test');
    assert.ok(!undone.ok);
    assert.deepEqual(
      undone.units.map(({ ok }) => ok),
      [false, true],
    );
    assert.deepEqual(await node.tree(), old);
  });

  it('restores the files of a unit that is gone, and tells that it is', async () => {
    const { node, old, record } = await changed();
    node.units.delete('kube-apiserver.service');
    const undone = await undoChange(node.deps(), record, 'test');
    assert.deepEqual(
      undone.units.map(({ ok, detail }) => [ok, detail]),
      [
        [true, 'active (running)'],
        [false, 'there is no such unit any more'],
      ],
    );
    assert.deepEqual(await node.tree(), old);
  });

  const edits: [title: string, path: (node: FakeNode) => string, content: string][] = [
    ['that was there before', (node) => node.at('/etc/kube-mtls/etcd.env'), 'ETCD_NAME=somebody\n'],
    ['that we made', (node) => node.dropIn('etcd.service'), '[Service]\n# somebody\n'],
  ];
  for (const [title, pathOf, content] of edits) {
    it(`keeps aside what somebody else wrote to a file ${title}`, async () => {
      const { node, old, record } = await changed();
      writeFileSync(pathOf(node), content);
      const undone = await undoChange(node.deps(), record, 'test');
      assert.deepEqual(await node.tree(), old);
      const [foreign] = undone.foreign;
      assert.equal(foreign?.path, pathOf(node));
      await forgetChange(node.layout, record.changeId);
      assert.equal(readFileSync(foreign?.savedAs ?? '', 'utf8'), content);
      assert.equal(statSync(foreign?.savedAs ?? '').mode & 0o777, 0o600);
      assert.equal(statSync(dirname(foreign?.savedAs ?? '')).mode & 0o777, 0o700);
      assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
    });
  }

  it('keeps aside a foreign link, for a file and for current', async () => {
    const { node, old, record } = await changed();
    const environment = node.at('/etc/kube-mtls/etcd.env');
    const current = join(componentFolder(node.layout, 'kube-apiserver'), 'current');
    rmSync(environment);
    symlinkSync('/etc/shadow', environment);
    rmSync(current);
    symlinkSync('v20250101T000000Z-aaaaaa', current);
    const { foreign } = await undoChange(node.deps(), record, 'test');
    assert.deepEqual(
      foreign.map(({ path, savedAs }) => [path, readFileSync(savedAs, 'utf8')]),
      [
        [current, 'symbolic link to v20250101T000000Z-aaaaaa\n'],
        [environment, 'symbolic link to /etc/shadow\n'],
      ],
    );
    assert.deepEqual(await node.tree(), old);
  });

  it('calls no file foreign that only lost its mode or went away', async () => {
    const { node, old, record } = await changed();
    chmodSync(node.at('/etc/kube-mtls/etcd.env'), 0o666);
    rmSync(node.dropIn('kube-apiserver.service'));
    const { foreign } = await undoChange(node.deps(), record, 'test');
    assert.deepEqual(foreign, []);
    assert.deepEqual(await node.tree(), old);
  });

  it('stops at a folder where a file was, says so, and goes on when it is moved away', async () => {
    const { node, old, record } = await changed();
    rmSync(node.dropIn('kube-apiserver.service'));
    mkdirSync(node.dropIn('kube-apiserver.service'));
    await assert.rejects(undoChange(node.deps(), record, 'test'), { reason: 'conflict', message: /is no file any/ });
    assert.equal((await loadChange(node.layout, record.changeId)).state.name, 'undoing');
    rmSync(node.dropIn('kube-apiserver.service'), { recursive: true });
    await undoChange(node.deps(), record, 'another reason');
    assert.deepEqual(await node.tree(), old);
  });

  it('leaves a drop-in folder in which somebody else put something', async () => {
    const { node, record } = await changed();
    const theirs = join(dirname(node.dropIn('etcd.service')), '10-theirs.conf');
    writeFileSync(theirs, '[Service]\n');
    await undoChange(node.deps(), record, 'test');
    assert.ok(existsSync(theirs) && !existsSync(node.dropIn('etcd.service')));
  });

  it('refuses to restore from a damaged copy', async () => {
    const { node, record } = await changed();
    appendFileSync(join(changeFolder(node.layout, record.changeId), 'before-0'), 'x');
    const before = readFileSync(node.at('/etc/kube-mtls/etcd.env'));
    await assert.rejects(undoChange(node.deps(), record, 'test'), { reason: 'internal', message: /is damaged/ });
    assert.deepEqual(readFileSync(node.at('/etc/kube-mtls/etcd.env')), before);
  });

  it('removes what a crash left half-written beside files and links', async () => {
    const { node, old, record } = await changed();
    const current = join(componentFolder(node.layout, 'kube-apiserver'), '.current.kube-mtls-0123456789ab');
    symlinkSync('x', current);
    writeFileSync(node.at('/etc/kube-mtls/.etcd.env.kube-mtls-0123456789ab'), 'half');
    await undoChange(node.deps(), record, 'test');
    assert.deepEqual(await node.tree(), old);
  });

  it('tells the cluster the old peer URLs after the restart when it does not answer before', async () => {
    const { node, record } = await changed();
    node.clusterDown = true;
    const deps = node.deps(async (name) => {
      if (name === 'unit-restored') node.clusterDown = false;
    });
    await undoChange(deps, record, 'test');
    assert.deepEqual(node.peerUrls, ['http://10.0.0.1:2380']);
  });

  it('brings all units back though the cluster does not take the old peer URLs, and then stays undoing', async () => {
    const { node, old, record } = await changed();
    node.clusterDown = true;
    await assert.rejects(undoChange(node.deps(), record, 'first'), /does not answer/);
    assert.equal((await loadChange(node.layout, record.changeId)).state.name, 'undoing');
    const starts = () => [...node.units.values()].map((unit) => unit.starts);
    assert.deepEqual(starts(), [2, 2]); // once new, once old
    node.clusterDown = false;
    const undone = await undoChange(node.deps(), record, 'second');
    assert.equal(undone.reason, 'first');
    assert.deepEqual(node.peerUrls, ['http://10.0.0.1:2380']);
    assert.deepEqual(starts(), [2, 2]);
    assert.deepEqual(await node.tree(), old);
  });

  it('does not ask the cluster when it was never told', async () => {
    const node = await makeNode(parent);
    const record = await apply(node);
    node.clusterDown = true;
    assert.ok((await undoChange(node.deps(), record, 'test')).ok);
  });

  it('discards a change of which nothing was switched, and restarts nothing', async () => {
    const node = await makeNode(parent);
    const old = await node.tree();
    const { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const undone = await undoChange(node.deps(), record, 'no permit');
    assert.deepEqual([undone.outcome, undone.units], ['discarded', []]);
    assert.deepEqual(await node.tree(), old);
  });

  it('refuses a change that was kept', async () => {
    const { node, record } = await changed();
    await assert.rejects(
      keepChange({ ...node.deps(), checkpoint: async (name) => assert.notEqual(name, 'kept') }, record),
    );
    await assert.rejects(undoChange(node.deps(), record, 'test'), { reason: 'conflict' });
  });

  it('does nothing the second time', async () => {
    const { node, record } = await changed();
    await undoChange(node.deps(), record, 'first');
    const starts = node.unit('etcd.service').starts;
    const again = await undoChange(node.deps(), record, 'second');
    assert.deepEqual([again.reason, again.units, node.unit('etcd.service').starts], ['first', [], starts]);
  });
});
