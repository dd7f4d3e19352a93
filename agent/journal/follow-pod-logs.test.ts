import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Log } from '../../common/log/log.ts';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { until } from '../../common/time/until-for-tests.ts';
import { followPodLogs, POLL_MS } from './follow-pod-logs.ts';

const ETCD = { pod: 'etcd-cp1', namespace: 'kube-system', container: 'etcd' };
const line = (text: string, tag = 'F') => `2026-11-24T10:14:03.500000000Z stderr ${tag} ${text}\n`;

/** A follower of a folder in which the container has written already. */
async function begin(test: TestContext) {
  const podLogs = await mkdtemp(join(tmpdir(), 'kube-mtls-follow-'));
  const folder = join(podLogs, 'kube-system_etcd-cp1_aaa/etcd');
  const log = join(folder, '0.log');
  await mkdir(folder, { recursive: true });
  await writeFile(log, line('before'));
  const clock = new FakeClock();
  const stop = new AbortController();
  const seen: string[] = [];
  const warned: string[] = [];
  const noting: Log = { ...silentLog, warn: (message) => void warned.push(message) };
  const containers = [ETCD];
  const following = (async () => {
    const deps = { clock, log: noting, podLogs };
    for await (const { container, entry } of followPodLogs(deps, () => containers, stop.signal)) {
      seen.push(`${container === ETCD ? '' : `${container.pod} `}${entry.message}`);
    }
  })();
  test.after(async () => {
    stop.abort();
    await following;
    await rm(podLogs, { recursive: true });
  });
  const looked = () => until(() => clock.sleeping === 1, 'the sleep');
  /** Looks once more, and gives what was seen since. */
  const look = async () => {
    await looked();
    await clock.advance(POLL_MS);
    await looked();
    return seen.splice(0);
  };
  await looked();
  assert.deepEqual(seen, []); // it begins at the end
  return { podLogs, folder, log, containers, warned, look, stop, following };
}

describe('followPodLogs', () => {
  it('gives what is written from now on, each line once and whole', async (test) => {
    const { log, look } = await begin(test);
    assert.deepEqual(await look(), []);
    await appendFile(log, line('a') + line('b').slice(0, -5));
    assert.deepEqual(await look(), ['a']);
    await appendFile(log, line('b').slice(-5) + line('c', 'P'));
    assert.deepEqual(await look(), ['b']);
    await appendFile(log, line('d'));
    assert.deepEqual(await look(), ['cd']);
  });

  it('reads another run of the container, and the pod of another manifest, from the first line', async (test) => {
    const { podLogs, folder, log, look } = await begin(test);
    await writeFile(join(folder, '1.log'), line('run'));
    const other = join(podLogs, 'kube-system_etcd-cp1_bbb/etcd');
    await mkdir(other, { recursive: true });
    await writeFile(join(other, '0.log'), line('manifest'));
    assert.deepEqual((await look()).sort(), ['manifest', 'run']);
    await appendFile(log, line('last words'));
    assert.deepEqual(await look(), ['last words']);
  });

  it('loses nothing when a file is rotated, also while it has no name', async (test) => {
    const { log, look } = await begin(test);
    await appendFile(log, line('a'));
    await rename(log, `${log}.20261124-101400`);
    await appendFile(`${log}.20261124-101400`, line('b'));
    assert.deepEqual(await look(), ['a', 'b']);
    await appendFile(`${log}.20261124-101400`, line('c'));
    await writeFile(log, line('d'));
    assert.deepEqual(await look(), ['c', 'd']);
    await appendFile(log, line('e'));
    assert.deepEqual(await look(), ['e']);
  });

  it('begins again in a file that was cut short', async (test) => {
    const { log, look } = await begin(test);
    await truncate(log);
    await appendFile(log, line('a'));
    assert.deepEqual(await look(), ['a']);
  });

  it('lets go of a file that was removed, and of a folder', async (test) => {
    const { podLogs, log, look } = await begin(test);
    await appendFile(log, line('a'));
    await rm(log);
    assert.deepEqual(await look(), ['a']);
    await rm(podLogs, { recursive: true });
    assert.deepEqual(await look(), []);
    await mkdir(podLogs);
  });

  it('asks for the containers at every look; one that is new begins at its end', async (test) => {
    const { podLogs, log, containers, look } = await begin(test);
    const other = join(podLogs, 'kube-system_kube-apiserver-cp1_ccc/kube-apiserver');
    await mkdir(other, { recursive: true });
    await writeFile(join(other, '0.log'), line('before'));
    containers.push({ pod: 'kube-apiserver-cp1', namespace: 'kube-system', container: 'kube-apiserver' });
    assert.deepEqual(await look(), []);
    await appendFile(join(other, '0.log'), line('b'));
    assert.deepEqual(await look(), ['kube-apiserver-cp1 b']);
    containers.shift();
    await look();
    await appendFile(log, line('nobody asks'));
    assert.deepEqual(await look(), []);
  });

  it('says once what cannot be read, and reads the rest', async (test) => {
    const { folder, log, warned, look } = await begin(test);
    await mkdir(join(folder, '1.log'));
    for (const text of ['a', 'b']) {
      await appendFile(log, line(text));
      assert.deepEqual(await look(), [text]);
    }
    assert.deepEqual(warned, ['log of a pod could not be read']);
  });

  it('ends when the signal fires', async (test) => {
    const { stop, following } = await begin(test);
    stop.abort();
    await following;
  });
});
