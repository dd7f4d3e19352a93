import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { PodRef } from '../process/pod-containers.ts';
import { makeMixedNode, manifestOf } from '../stage/fake-mixed-change.ts';
import { currentContainers, restartPod } from './restart-pod.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-pod-'));
after(() => rmSync(parent, { recursive: true }));

async function makePod() {
  const node = await makeMixedNode(parent);
  const manifest = node.kubelet.manifestPath('etcd');
  const process: PodRef = {
    kind: 'static-pod',
    pod: 'etcd-cp1',
    namespace: 'kube-system',
    container: 'etcd',
    manifest,
  };
  const before = node.kubelet.pod('etcd').container?.id ?? '';
  const restart = (text: string, signal?: AbortSignal) =>
    restartPod(node.deps(), 'etcd', process, [], () => writeFile(manifest, text), signal);
  return { node, manifest, process, before, restart };
}

describe('restartPod', () => {
  const texts: [title: string, text: string][] = [
    ['other arguments', `${manifestOf('etcd')}    - --more\n`],
    ['the same arguments', `${manifestOf('etcd')}# more\n`],
  ];
  for (const [title, text] of texts) {
    it(`waits for another container with ${title}`, async () => {
      const { node, before, restart } = await makePod();
      const { ok, invocationId, live, unit } = await restart(text);
      assert.deepEqual([ok, live, unit], [true, false, 'etcd-cp1']);
      assert.notEqual(invocationId, before);
      assert.equal(invocationId, node.kubelet.pod('etcd').container?.id);
    });
  }

  it('answers that kubelet does not restart it', async () => {
    const { node, before, restart } = await makePod();
    node.kubelet.isUp = false;
    const { ok, detail } = await restart(`${manifestOf('etcd')}# more\n`);
    assert.ok(!ok);
    assert.match(detail, new RegExp(`container ${before.slice(0, 12)} from before still runs`));
  });

  it('passes on that the manifest cannot be written', async () => {
    const { node, process } = await makePod();
    const refused = async () => {
      throw new Error('no space left on device');
    };
    await assert.rejects(restartPod(node.deps(), 'etcd', process, [], refused), /no space left/);
  });
});

describe('currentContainers', () => {
  it('names what runs with the command of the manifest, and nothing without a manifest', async () => {
    const { node, manifest, process, before } = await makePod();
    assert.deepEqual([...(await currentContainers(node.deps(), process))], [before]);
    await writeFile(manifest, `${manifestOf('etcd')}    - --more\n`);
    assert.deepEqual([...(await currentContainers(node.deps(), process))], []);
    rmSync(manifest);
    assert.deepEqual([...(await currentContainers(node.deps(), process))], []);
  });
});
