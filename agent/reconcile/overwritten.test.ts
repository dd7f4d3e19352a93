import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { layoutBelow } from '../layout.ts';
import type { ComponentChange, FileChange } from '../plan/change.ts';
import type { KeptFile } from '../report/agent-state.ts';
import { markOf } from '../stage/file-state.ts';
import { keepOverwritten } from './overwritten.ts';

const file = (path: string, text: string) => ({ path, text, mode: 0o644, uid: 0, gid: 0 });
const kept = (path: string): KeptFile => ({ component: 'kubelet', path, ...markOf(file(path, 'ours')) });

/** The change of these files from that text to another. */
function changing(...files: [path: string, before: string | undefined][]) {
  const changes = files.map(
    ([path, before]): FileChange => ({
      path,
      before: before === undefined ? undefined : file(path, before),
      after: file(path, 'new'),
      restarts: false,
    }),
  );
  return { components: [{ files: changes } as unknown as ComponentChange] }; // all that is looked at
}

function begin(test: TestContext) {
  const root = mkdtempSync(join(tmpdir(), 'kube-mtls-overwritten-'));
  test.after(() => rmSync(root, { recursive: true }));
  return layoutBelow(root);
}

describe('keepOverwritten', () => {
  it('keeps what somebody else wrote, readable by root alone, once', async (test) => {
    const layout = begin(test);
    const [saved, ...more] = await keepOverwritten(layout, [kept('/a.conf')], changing(['/a.conf', 'theirs']));
    assert.deepEqual([saved?.path, more], ['/a.conf', []]);
    const path = saved?.savedAs ?? '';
    assert.equal(readFileSync(path, 'utf8'), 'theirs');
    assert.deepEqual([statSync(path).mode & 0o777, statSync(layout.overwrittenFolder).mode & 0o777], [0o600, 0o700]);
    await keepOverwritten(layout, [kept('/a.conf')], changing(['/a.conf', 'theirs']));
    assert.equal(readdirSync(layout.overwrittenFolder).length, 1);
  });

  it('keeps nothing of files that are as they were left, that are gone, or that never were ours', async (test) => {
    const layout = begin(test);
    const change = changing(['/a', 'ours'], ['/b', undefined], ['/c', 'never ours']);
    assert.deepEqual(await keepOverwritten(layout, [kept('/a'), kept('/b')], change), []);
  });

  it('keeps no more than 50 copies and 16 MiB, the newest', async (test) => {
    const layout = begin(test);
    for (let at = 0; at < 55; at++) await keepOverwritten(layout, [kept('/a')], changing(['/a', `theirs ${at}`]));
    assert.equal(readdirSync(layout.overwrittenFolder).length, 50);
    for (let at = 0; at < 5; at++) {
      await keepOverwritten(layout, [kept('/a')], changing(['/a', `${at}`.repeat(4 * 1024 * 1024)]));
    }
    const sizes = readdirSync(layout.overwrittenFolder).map(
      (name) => statSync(join(layout.overwrittenFolder, name)).size,
    );
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= 16 * 1024 * 1024);
    assert.ok(sizes.includes(4 * 1024 * 1024));
  });
});
