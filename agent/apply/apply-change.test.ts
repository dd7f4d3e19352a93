import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { componentFolder } from '../layout.ts';
import { loadChange } from '../stage/change-journal.ts';
import { fakeSigned, makeChange, makeNode } from '../stage/fake-change.ts';
import { makeMixedChange, makeMixedNode, manifestOf } from '../stage/fake-mixed-change.ts';
import type { FakeNode } from '../stage/fake-node.ts';
import { stageChange } from '../stage/stage-change.ts';
import { applyChange } from './apply-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-apply-'));
after(() => rmSync(parent, { recursive: true }));

const stage = async (node: FakeNode) => stageChange(node.deps(), fakeSigned(await makeChange(node)));

describe('applyChange', () => {
  it('switches links and files, reloads systemd and restarts nothing', async () => {
    const node = await makeNode(parent);
    const { record } = await applyChange(node.deps(), await stage(node), { permitId: 'p1' });
    const target = `v${record.changeId}`;
    for (const component of ['etcd', 'kube-apiserver'] as const) {
      assert.equal(readlinkSync(join(componentFolder(node.layout, component), 'current')), target);
    }
    const environment = node.at('/etc/kube-mtls/etcd.env');
    assert.equal(readFileSync(environment, 'utf8'), 'ETCD_NAME=a\nETCD_CERT_FILE=x\n');
    assert.equal(statSync(environment).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(node.dropIn('etcd.service'))).mode & 0o777, 0o755);
    assert.match(await node.configuration('etcd.service'), /EnvironmentFile=/);
    for (const unit of node.units.values()) assert.equal(unit.starts, 0);
    assert.deepEqual((await loadChange(node.layout, record.changeId)).state, { name: 'switched', permitId: 'p1' });
  });

  it('leaves the manifests of static pods to the stage restart, and writes kubeconfigs with their keys', async () => {
    const node = await makeMixedNode(parent);
    const containers = () => [...node.kubelet.pods.values()].map(({ container }) => container?.id);
    const before = containers();
    const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
    const { record } = await applyChange(node.deps(), staged, { permitId: 'p1' });
    await node.kubelet.settle();
    for (const component of ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const) {
      assert.equal(readFileSync(node.kubelet.manifestPath(component), 'utf8'), manifestOf(component));
      assert.equal(readlinkSync(join(componentFolder(node.layout, component), 'current')), `v${record.changeId}`);
    }
    assert.deepEqual(containers(), before);
    assert.deepEqual(
      record.components.map(({ processBefore }) => [processBefore?.activeState, processBefore?.wanted]),
      [
        ['active', true],
        ['active', true],
        ['active', true],
        ['active', true],
        ['active', true],
        ['', false],
      ],
    );
    assert.deepEqual(
      record.components.slice(0, 3).map(({ processBefore }) => processBefore?.invocationId),
      before,
    );
    const kubeconfig = readFileSync(node.at('/etc/kubernetes/admin.conf'), 'utf8');
    assert.equal(kubeconfig, staged.change.components.at(-1)?.files[0]?.after.text);
    assert.doesNotMatch(kubeconfig, /@kube-mtls:/);
  });

  it('touches nothing when a manifest was edited while it waited for its permit', async () => {
    const node = await makeMixedNode(parent);
    const staged = await stageChange(node.deps(), fakeSigned(await makeMixedChange(node)));
    appendFileSync(node.kubelet.manifestPath('kube-apiserver'), '# somebody\n');
    const before = await node.tree();
    await assert.rejects(applyChange(node.deps(), staged, { permitId: 'p1' }), { reason: 'conflict' });
    assert.deepEqual(await node.tree(), before);
  });

  it('remembers how each unit ran before the first switch', async () => {
    const node = await makeNode(parent);
    Object.assign(node.unit('etcd.service'), { activeState: 'inactive', unitFileState: 'disabled' });
    const staged = await stage(node);
    let remembered: unknown;
    const deps = node.deps(async (name) => {
      if (name !== 'link-switched' || remembered !== undefined) return;
      remembered = (await loadChange(node.layout, staged.record.changeId)).components.map((each) => each.processBefore);
    });
    await applyChange(deps, staged, { permitId: 'p1' });
    const ids = [...node.units.values()].map(({ invocationId }) => invocationId);
    assert.deepEqual(remembered, [
      { invocationId: ids[0], activeState: 'inactive', wanted: false },
      { invocationId: ids[1], activeState: 'active', wanted: true },
    ]);
  });

  it('switches each link before it writes a file that names what the link shows', async () => {
    const node = await makeNode(parent);
    const staged = await stage(node);
    const steps: string[] = [];
    const deps = node.deps(async (name) => {
      if (name === 'link-switched' || name === 'file-written') steps.push(name);
    });
    await applyChange(deps, staged, { permitId: 'p1' });
    const each = ['link-switched', 'file-written'];
    assert.deepEqual(steps, ['link-switched', 'file-written', 'file-written', ...each]);
  });

  it('takes cursor and time before the first switch', async () => {
    const node = await makeNode(parent);
    const staged = await stage(node);
    const links: unknown[] = [];
    const deps = {
      ...node.deps(),
      currentCursor: async () => {
        links.push(readlinkSync(join(componentFolder(node.layout, 'kube-apiserver'), 'current')));
        return 's=9';
      },
    };
    const applied = await applyChange(deps, staged, { permitId: 'p1' });
    assert.deepEqual(
      [applied.cursor, applied.switchedAtMs, links],
      ['s=9', node.clock.nowMs(), ['v20250601T000000Z-bbbbbb']],
    );
  });

  const drifts: [title: string, drift: (node: FakeNode) => void][] = [
    ['a file was edited', (node) => appendFileSync(node.at('/etc/kube-mtls/etcd.env'), '#')],
    ['a link was made', (node) => symlinkSync('v1', join(componentFolder(node.layout, 'etcd'), 'current'))],
    [
      'a drop-in was replaced',
      (node) => writeFileSync(node.dropIn('kube-apiserver.service'), '[Service]\nNice=1\n', { mode: 0o644 }),
    ],
  ];
  for (const [title, drift] of drifts) {
    it(`touches nothing when ${title} while it waited for its permit`, async () => {
      const node = await makeNode(parent);
      const staged = await stage(node);
      drift(node);
      const before = await node.tree();
      await assert.rejects(applyChange(node.deps(), staged, { permitId: 'p1' }), { reason: 'conflict' });
      assert.deepEqual(await node.tree(), before);
      assert.equal((await loadChange(node.layout, staged.record.changeId)).state.name, 'permitted');
    });
  }

  it('switches nothing once its signal has fired', async () => {
    const node = await makeNode(parent);
    const staged = await stage(node);
    const before = await node.tree();
    const signal = AbortSignal.abort();
    await assert.rejects(applyChange(node.deps(), staged, { permitId: 'p1' }, signal), { name: 'AbortError' });
    assert.deepEqual(await node.tree(), before);
  });
});
