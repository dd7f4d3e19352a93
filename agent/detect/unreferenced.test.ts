import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { FakeNode } from './fake-node.ts';
import { unreferencedFiles } from './unreferenced.ts';

describe('unreferencedFiles', () => {
  it('names each file once, whatever links lead to it, and none that is referred to by another path', async (test) => {
    const node = await FakeNode.create();
    test.after(() => node.remove());
    const pki = (name: string) => node.path(`/etc/kubernetes/pki/${name}`);
    for (const name of ['ca.crt', 'x/old.crt', 'x/README']) await node.write(`/etc/kubernetes/pki/${name}`, '');
    await symlink('.', pki('again'));
    await symlink('..', pki('x/up'));
    await symlink('gone.pem', pki('lost.pem'));
    assert.deepEqual(await unreferencedFiles(node.layout, [pki('again/ca.crt')]), [pki('lost.pem'), pki('x/old.crt')]);
  });

  it('names none where there is no folder', async (test) => {
    const node = await FakeNode.create();
    test.after(() => node.remove());
    assert.deepEqual(await unreferencedFiles(node.layout, []), []);
  });
});
