import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { componentFolder } from '../layout.ts';
import { advanceChange, changeFolder, listChanges } from './change-journal.ts';
import { discardChange } from './discard-change.ts';
import { ETCD_USER, fakeSigned, makeChange, makeNode } from './fake-change.ts';
import type { FakeNode } from './fake-node.ts';
import { stageChange } from './stage-change.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-stage-'));
after(() => rmSync(parent, { recursive: true }));

const ENVIRONMENT = '/etc/kube-mtls/etcd.env';

describe('stageChange', () => {
  it('writes a complete version for each component, keys only for its own user', async () => {
    const node = await makeNode(parent);
    const { change } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const version = join(componentFolder(node.layout, 'etcd'), `v${change.changeId}`);
    assert.deepEqual(readdirSync(version).sort(), [
      'client-ca.crt',
      'peer.crt',
      'peer.key',
      'server.crt',
      'server.key',
    ]);
    const mark = (path: string) => {
      const { mode, uid, gid } = statSync(path);
      return [(mode & 0o7777).toString(8), uid, gid];
    };
    const self = process.getuid?.() ?? 0;
    assert.deepEqual(mark(join(version, 'server.key')), ['600', ETCD_USER, ETCD_USER]);
    assert.deepEqual(mark(join(version, 'server.crt')), ['644', self, ETCD_USER]);
    assert.deepEqual(mark(join(version, 'client-ca.crt')), ['644', self, ETCD_USER]);
    assert.deepEqual(mark(version), ['750', self, ETCD_USER]);
    assert.deepEqual(mark(dirname(version)), ['750', self, ETCD_USER]);
    const apiserver = join(componentFolder(node.layout, 'kube-apiserver'), `v${change.changeId}`);
    assert.equal(statSync(apiserver).mode & 0o777, self === 0 ? 0o755 : 0o750);
  });

  it('changes nothing that a component looks at', async () => {
    const node = await makeNode(parent);
    const before = await node.tree();
    const { change } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const now = Object.entries(await node.tree()).filter(
      ([path]) => !path.includes(`/v${change.changeId}`) && !/\/pki\/etcd$/.test(path),
    );
    assert.deepEqual(Object.fromEntries(now), before);
  });

  it('keeps every file as it is, where only root looks', async () => {
    const node = await makeNode(parent);
    const { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const [environment, dropIn] = record.components[0]?.files ?? [];
    assert.ok(environment?.before);
    assert.equal(environment.before.mode, 0o640);
    const copy = join(changeFolder(node.layout, record.changeId), environment.before.copy);
    assert.equal(readFileSync(copy, 'utf8'), 'ETCD_NAME=a\n');
    assert.equal(statSync(copy).mode & 0o777, 0o600);
    assert.equal(dropIn?.before, null);
    assert.equal(record.components[0]?.oldTarget, null);
    assert.equal(record.components[1]?.oldTarget, 'v20250601T000000Z-bbbbbb');
  });

  const drifts: [title: string, drift: (node: FakeNode) => void, message: RegExp][] = [
    ['content of a file changed', (node) => appendFileSync(node.at(ENVIRONMENT), '#'), /etcd\.env is not as the plan/],
    ['mode of a file changed', (node) => chmodSync(node.at(ENVIRONMENT), 0o600), /etcd\.env is not as the plan saw it/],
    ['file went away', (node) => rmSync(node.at(ENVIRONMENT)), /etcd\.env is not as the plan saw it/],
    [
      'file appeared',
      (node) => {
        mkdirSync(dirname(node.dropIn('etcd.service')));
        writeFileSync(node.dropIn('etcd.service'), '');
      },
      /50-kube-mtls\.conf is not as the plan saw it/,
    ],
    [
      'file became a symbolic link to the same content',
      (node) => {
        renameSync(node.at(ENVIRONMENT), node.at('/etc/elsewhere'));
        symlinkSync('../elsewhere', node.at(ENVIRONMENT));
      },
      /etcd\.env is not as the plan saw it/,
    ],
    [
      'folder stands where the link belongs',
      (node) => mkdirSync(join(componentFolder(node.layout, 'etcd'), 'current'), { recursive: true }),
      /current is no symbolic link/,
    ],
    [
      'version of that name is there already',
      (node) => mkdirSync(join(componentFolder(node.layout, 'etcd'), 'v20260101T000000Z-1a2b3c'), { recursive: true }),
      /exists already/,
    ],
  ];
  for (const [title, drift, message] of drifts) {
    it(`refuses, and touches nothing, when a ${title}`, async () => {
      const node = await makeNode(parent);
      const signed = fakeSigned(await makeChange(node));
      drift(node);
      const before = await node.tree();
      await assert.rejects(stageChange(node.deps(), signed), { reason: 'conflict', message });
      assert.deepEqual(await node.tree(), before);
      assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
    });
  }

  it('refuses while an earlier change is unfinished', async () => {
    const node = await makeNode(parent);
    const change = await makeChange(node);
    const { record } = await stageChange(node.deps(), fakeSigned(change));
    const next = fakeSigned({ ...change, changeId: '20260102T000000Z-ffffff' });
    await assert.rejects(stageChange(node.deps(), next), { reason: 'conflict', message: /is still staged/ });
    await discardChange(node.deps(), record, 'test');
    await stageChange(node.deps(), next);
  });

  it('refuses while a journal cannot be read, and names it', async () => {
    const node = await makeNode(parent);
    const path = join(changeFolder(node.layout, 'x'), 'change.json');
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '{');
    const signed = fakeSigned(await makeChange(node));
    await assert.rejects(stageChange(node.deps(), signed), { reason: 'conflict', message: /x\/change\.json is torn/ });
    assert.equal(readFileSync(path, 'utf8'), '{');
  });

  for (const [title, lose] of [
    ['a certificate', { certificates: [] }],
    ['a bundle', { bundles: [] }],
  ] as const) {
    it(`takes everything back when ${title} is missing`, async () => {
      const node = await makeNode(parent);
      const before = await node.tree();
      const signed = { ...fakeSigned(await makeChange(node)), ...lose };
      await assert.rejects(stageChange(node.deps(), signed), { reason: 'internal', message: /nothing was signed/ });
      assert.deepEqual(await node.tree(), before);
      assert.deepEqual(await listChanges(node.layout), { records: [], problems: [] });
    });
  }
});

describe('discardChange', () => {
  it('takes a staged change back, keys included', async () => {
    const node = await makeNode(parent);
    const before = await node.tree();
    const { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    await discardChange(node.deps(), record, 'no permit');
    assert.deepEqual(await node.tree(), before);
    assert.ok(!existsSync(changeFolder(node.layout, record.changeId)));
  });

  it('never removes a version that the link names', async () => {
    const node = await makeNode(parent);
    const { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    const folder = componentFolder(node.layout, 'etcd');
    symlinkSync(`v${record.changeId}`, join(folder, 'current'));
    await assert.rejects(discardChange(node.deps(), record, 'test'), { reason: 'internal', message: /is in use/ });
    assert.ok(existsSync(join(folder, 'current', 'server.key')));
  });

  it('refuses a change that was switched', async () => {
    const node = await makeNode(parent);
    let { record } = await stageChange(node.deps(), fakeSigned(await makeChange(node)));
    record = await advanceChange(node.layout, record, { name: 'permitted', permitId: 'p' });
    record = await advanceChange(node.layout, record, { name: 'switching', permitId: 'p' });
    const before = await node.tree();
    await assert.rejects(discardChange(node.deps(), record, 'test'), { reason: 'internal' });
    assert.deepEqual(await node.tree(), before);
  });
});
