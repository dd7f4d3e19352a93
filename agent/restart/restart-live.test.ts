import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { applyChange } from '../apply/apply-change.ts';
import { changeFolder, loadChange } from '../stage/change-journal.ts';
import { fakeSigned } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode, manifestOf } from '../stage/fake-mixed-change.ts';
import { stageChange } from '../stage/stage-change.ts';
import { keepChange } from '../undo/keep-change.ts';
import { restartLive } from './restart-live.ts';
import { restartUnits } from './restart-units.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-live-'));
after(() => rmSync(parent, { recursive: true }));

const MANAGER = 'kube-controller-manager';
const only = (...components: Component[]) => new Set(components);

async function applied() {
  const node = await makeMixedNode(parent);
  const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
  return { node, applied: await applyChange(node.deps(), staged, { permitId: 'p1' }) };
}

async function restarted() {
  const { node, applied: change } = await applied();
  return { node, restarted: await restartUnits(node.deps(), change) };
}

describe('restartUnits, of every kind of process', () => {
  it('restarts pods by their manifests and units by systemd, and leaves the live ones running', async () => {
    const { node, restarted: change } = await restarted();
    assert.ok(change.ok);
    assert.deepEqual(
      change.units.map(({ unit, live, ok, cursor }) => [unit, live, ok, cursor]),
      [
        ['etcd-cp1', false, true, ''],
        ['kube-apiserver-cp1', false, true, ''],
        ['kube-controller-manager-cp1', true, true, ''],
        ['kubelet.service', true, true, 's=1;i=2'],
        ['kube-proxy.service', false, true, 's=1;i=2'],
        ['', true, true, ''],
      ],
    );
    for (const [index, component] of (['etcd', 'kube-apiserver', MANAGER] as const).entries()) {
      assert.equal(change.units[index]?.invocationId, node.kubelet.pod(component).container?.id);
    }
    const starts = [...node.kubelet.pods.values(), ...node.units.values()].map((each) => each.starts);
    assert.deepEqual(starts, [1, 1, 0, 0, 1]);
    assert.deepEqual(node.peerUrls, ['https://10.0.0.1:2380']);
  });

  it('writes a manifest when its turn comes, after the one before runs', async () => {
    const { node, applied: change } = await applied();
    const seen: [number, number][] = [];
    const deps = node.deps(async (name) => {
      if (name !== 'manifest-written') return;
      seen.push([node.kubelet.pod('etcd').starts, node.kubelet.pod('kube-apiserver').starts]);
    });
    await restartUnits(deps, change);
    assert.deepEqual(seen, [
      [0, 0],
      [1, 0],
    ]);
  });

  it('ends the API server where kubelet hangs on it, and kubelet starts it again', async () => {
    const { node, applied: change } = await applied();
    node.kubelet.hangs = true;
    const { ok, units } = await restartUnits(node.deps(), change);
    assert.deepEqual([ok, units[0]?.ended, units[1]?.ended], [true, ['kube-apiserver'], []]);
    assert.equal(node.kubelet.pod('kube-apiserver').starts, 2);
  });

  it('refuses a manifest that somebody changed while others restarted, and does not write it', async () => {
    const { node, applied: change } = await applied();
    const path = node.kubelet.manifestPath('kube-apiserver');
    const deps = node.deps(async (name) => {
      if (name === 'manifest-written') appendFileSync(path, '# somebody\n');
    });
    await assert.rejects(restartUnits(deps, change), { reason: 'conflict', message: /changed while others restarted/ });
    assert.equal(readFileSync(path, 'utf8'), `${manifestOf('kube-apiserver')}# somebody\n`);
  });

  it('goes no further than a pod of which no container comes', async () => {
    const { node, applied: change } = await applied();
    node.kubelet.fails = (component, configuration) => component === 'etcd' && configuration.includes('--cert-file');
    const { ok, units } = await restartUnits(node.deps(), change);
    assert.deepEqual([ok, units.length, units[0]?.ok], [false, 1, false]);
    assert.match(units[0]?.detail ?? '', /^kubelet did not restart etcd-cp1 within 300 s: no new container/);
    // ended once, and come back with its old manifest
    assert.deepEqual([units[0]?.ended, node.kubelet.pod('kube-apiserver').starts], [['kube-apiserver'], 1]);
    assert.equal(readFileSync(node.kubelet.manifestPath('kube-apiserver'), 'utf8'), manifestOf('kube-apiserver'));
  });

  it('restarts what should be live and does not run', async () => {
    const { node, applied: change } = await applied();
    Object.assign(node.unit('kubelet.service'), { activeState: 'failed' });
    await node.kubelet.kill(node.kubelet.pod(MANAGER).container?.pid ?? 0);
    // with the manifest as it is it crashes, or is in its back-off
    node.kubelet.fails = (component, configuration) => component === MANAGER && !configuration.includes('restarted-by');
    const { ok, units } = await restartUnits(node.deps(), change);
    assert.ok(ok);
    assert.deepEqual(
      units.filter(({ live }) => live).map(({ unit }) => unit),
      [''],
    );
    assert.equal(node.unit('kubelet.service').starts, 1);
  });

  it('leaves a pod alone whose manifest was moved away before', async () => {
    const { node, applied: change } = await applied();
    const record = {
      ...change.record,
      components: change.record.components.map((each) =>
        each.component === MANAGER
          ? { ...each, processBefore: { invocationId: '', activeState: 'inactive', wanted: false } }
          : each,
      ),
    };
    const { leftStopped, units } = await restartUnits(node.deps(), { ...change, record });
    assert.deepEqual(leftStopped, ['kube-controller-manager-cp1']);
    assert.equal(units.length, 5);
  });
});

describe('restartLive', () => {
  it('restarts a unit and, by a mark in its manifest, a pod', async () => {
    const { node, restarted: change } = await restarted();
    const before = node.kubelet.pod(MANAGER).container?.id;
    const { ok, units, record } = await restartLive(node.deps(), change, only(MANAGER, 'kubelet'));
    assert.ok(ok);
    assert.deepEqual(
      units.map(({ unit, live }) => [unit, live]),
      [
        ['etcd-cp1', false],
        ['kube-apiserver-cp1', false],
        ['kube-controller-manager-cp1', false],
        ['kubelet.service', false],
        ['kube-proxy.service', false],
        ['', true],
      ],
    );
    assert.equal(node.unit('kubelet.service').starts, 1);
    const path = node.kubelet.manifestPath(MANAGER);
    const text = readFileSync(path, 'utf8');
    assert.ok(text.includes(`kube-mtls.io/restarted-by: "${record.changeId}"`), text);
    assert.match(text, /^# by kubeadm\n.*- --v=2 # loud\n/s);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.notEqual(units[2]?.invocationId, before);
    assert.equal(units[2]?.invocationId, node.kubelet.pod(MANAGER).container?.id);
    assert.deepEqual((await loadChange(node.layout, record.changeId)).state, { name: 'verifying', permitId: 'p1' });
  });

  it('keeps the manifest as it was, beside the copies of the other files', async () => {
    const { node, restarted: change } = await restarted();
    const { record } = await restartLive(node.deps(), change, only(MANAGER));
    const files = (await loadChange(node.layout, record.changeId)).components.flatMap((each) => each.files);
    const copies = files.map(({ before }) => before?.copy).filter((copy) => copy !== undefined);
    assert.equal(new Set(copies).size, copies.length);
    const noted = files.find(({ path }) => path === node.kubelet.manifestPath(MANAGER));
    assert.equal(
      readFileSync(join(changeFolder(node.layout, record.changeId), noted?.before?.copy ?? ''), 'utf8'),
      manifestOf(MANAGER),
    );
  });

  it('touches nothing that it is not asked for, was restarted already, or does not run', async () => {
    const { node, restarted: change } = await restarted();
    const before = await node.tree();
    const again = await restartLive(node.deps(), change, only('etcd', 'kube-proxy', 'admin'));
    assert.deepEqual([again.units, again.record, again.ok], [change.units, change.record, true]);
    assert.deepEqual(await node.tree(), before);
    assert.equal(node.unit('kube-proxy.service').starts, 1);
  });

  it('goes no further than the first that does not come back', async () => {
    const { node, restarted: change } = await restarted();
    node.kubelet.fails = (component) => component === MANAGER;
    const { ok, units, record } = await restartLive(node.deps(), change, only(MANAGER, 'kubelet'));
    assert.ok(!ok);
    assert.equal(units[2]?.ok, false);
    assert.equal(node.unit('kubelet.service').starts, 0);
    assert.equal(record.state.name, 'restarting');
  });

  it('refuses a manifest that is gone or no file any more, and does not bring it back', async () => {
    const { node, restarted: change } = await restarted();
    rmSync(node.kubelet.manifestPath(MANAGER));
    await assert.rejects(restartLive(node.deps(), change, only(MANAGER)), { reason: 'conflict' });
    assert.equal((await loadChange(node.layout, change.record.changeId)).state.name, 'verifying');
  });

  it('marks the manifest as somebody wrote it since: the change had no part in it', async () => {
    const { node, restarted: change } = await restarted();
    const path = node.kubelet.manifestPath(MANAGER);
    writeFileSync(path, manifestOf(MANAGER).replace('--v=2', '--v=3'));
    assert.ok((await restartLive(node.deps(), change, only(MANAGER))).ok);
    assert.match(readFileSync(path, 'utf8'), /--v=3/);
  });

  it('begins nothing once its signal has fired', async () => {
    const { node, restarted: change } = await restarted();
    const before = await node.tree();
    const aborted = restartLive(node.deps(), change, only(MANAGER, 'kubelet'), AbortSignal.abort());
    await assert.rejects(aborted, { name: 'AbortError' });
    assert.deepEqual(await node.tree(), before);
  });

  it('leaves a change that can be kept, whether something was restarted or not', async () => {
    for (const components of [only(), only(MANAGER, 'kubelet')]) {
      const { node, restarted: change } = await restarted();
      const { record } = await restartLive(node.deps(), change, components);
      await keepChange(node.deps(), record);
      await assert.rejects(loadChange(node.layout, record.changeId), { reason: 'not-found' });
    }
  });
});
