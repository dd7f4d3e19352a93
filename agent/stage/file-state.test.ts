import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { inspectFile, isState, markOf, sweepAsides } from './file-state.ts';

const root = mkdtempSync(join(tmpdir(), 'kube-mtls-state-'));
after(() => rmSync(root, { recursive: true }));

describe('inspectFile', () => {
  it('tells a file, a link and nothing apart', async () => {
    const path = join(root, 'file');
    writeFileSync(path, 'text', { mode: 0o600 });
    const state = await inspectFile(path);
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
    assert.ok(isState(state, markOf({ text: 'text', mode: 0o600, ...owner })));
    symlinkSync(path, join(root, 'link'));
    assert.deepEqual(await inspectFile(join(root, 'link')), { kind: 'link', target: path });
    assert.deepEqual(await inspectFile(join(root, 'nothing')), { kind: 'absent' });
  });

  it('takes a file of another mode, user or group for another state', () => {
    const mark = markOf({ text: 'text', mode: 0o600, uid: 0, gid: 0 });
    const state = (other: object) =>
      ({ kind: 'file', content: Buffer.from('text'), mark: { ...mark, ...other } }) as const;
    assert.ok(isState(state({}), mark));
    for (const other of [{ mode: 0o640 }, { uid: 1 }, { gid: 1 }])
      assert.ok(!isState(state(other), mark), JSON.stringify(other));
  });

  it('does not read without end through a folder that became a link into /proc', { timeout: 10_000 }, async () => {
    symlinkSync('/proc/self', join(root, 'process'));
    assert.deepEqual(await inspectFile(join(root, 'process', 'pagemap')), { kind: 'other' });
  });

  it('does not read a file of a terabyte, which is no state of ours', async () => {
    const path = join(root, 'sparse');
    writeFileSync(path, '');
    truncateSync(path, 2 ** 40);
    const state = await inspectFile(path);
    assert.deepEqual(state, { kind: 'too-large' });
    assert.ok(!isState(state, null));
  });

  it('does not wait for the writer of a named pipe', { timeout: 10_000 }, async () => {
    execFileSync('mkfifo', [join(root, 'pipe')]);
    assert.deepEqual(await inspectFile(join(root, 'pipe')), { kind: 'other' });
  });
});

describe('sweepAsides', () => {
  it('removes what was left beside a path, and nothing else', async () => {
    const folder = join(root, 'folder');
    mkdirSync(folder);
    const names = ['.a.kube-mtls-0123456789ab', '.a.kube-mtls-0123456789ab.mine', '.b.kube-mtls-0123456789ab', 'a'];
    for (const name of names) writeFileSync(join(folder, name), '');
    await sweepAsides(join(folder, 'a'));
    assert.deepEqual(
      names.map((name) => existsSync(join(folder, name))),
      [false, true, true, true],
    );
    await sweepAsides(join(root, 'no-folder', 'a'));
  });
});
