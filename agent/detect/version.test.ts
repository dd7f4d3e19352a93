import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import { type CommandOptions, runCommand } from '../../common/run/command.ts';
import { notAskedOnce, programVersion } from './version.ts';

const { signal } = new AbortController();

describe('programVersion', () => {
  const rows: [string, string][] = [
    ['Kubernetes v1.20.2\n', '1.20.2'],
    ['Kubernetes v1.31.0-rc.1+abc\n', '1.31.0-rc.1+abc'],
    ['etcd Version: 3.4.23\nGit SHA: Not provided\nGo Version: go1.19.8\n', '3.4.23'],
    ['etcd version 4', ''],
    ['', ''],
  ];
  for (const [stdout, expected] of rows) {
    it(`reads "${expected}" out of ${JSON.stringify(stdout)}`, async () => {
      assert.equal(await programVersion(async () => ({ code: 0, stdout, stderr: '' }), '/p', signal), expected);
    });
  }
  it('asks with a time limit', async () => {
    let options: CommandOptions | undefined;
    const run = async (argv: readonly string[], given?: CommandOptions) => {
      options = given;
      return { code: 0, stdout: argv.join(' '), stderr: '' };
    };
    await programVersion(run, '/p', signal);
    assert.equal(options?.timeoutMs, 10_000);
  });
  it('asks only what nobody but root can have put there, and takes little of the answer', async () => {
    let options: CommandOptions | undefined;
    const run = async (_: readonly string[], given?: CommandOptions) => {
      options = given;
      return { code: 0, stdout: `Kubernetes v1.20.2${'0'.repeat(1000)}`, stderr: '' };
    };
    assert.ok((await programVersion(run, '/p', signal)).length < 100);
    assert.deepEqual([options?.distrusted, options?.mostBytes], [true, 65_536]);
  });
  it('is empty for a program of somebody else, and says why, once', async () => {
    const told: string[] = [];
    const onNotAsked = notAskedOnce((program, why) => told.push(`${program}: ${why}`));
    let why = '/opt/etcd belongs to user 107';
    const run = () => Promise.reject(new AppError('policy-refused', why));
    for (let look = 0; look < 3; look++)
      assert.equal(await programVersion(run, '/opt/etcd/etcd', signal, onNotAsked), '');
    why = '/opt is writable for others than root (mode 0777)';
    await programVersion(run, '/opt/etcd/etcd', signal, onNotAsked);
    await programVersion(() => Promise.reject(new AppError('deadline', 'late')), '/p', signal, onNotAsked);
    assert.equal(told.length, 2);
    assert.match(
      told[0] ?? '',
      /^\/opt\/etcd\/etcd: \/opt\/etcd belongs to user 107: as root it is not run, .*is restarted; give/,
    );
    assert.match(told[1] ?? '', /0777/);
  });
  it('does not run what lies in a folder of somebody else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'kube-mtls-version-'));
    const canary = join(folder, 'canary');
    await writeFile(join(folder, 'etcd'), `#!/bin/sh\nid > ${canary}\necho etcd Version: 3.4.23\n`, { mode: 0o755 });
    if (process.getuid?.() === 0) await chown(folder, 65534, 65534);
    const told: string[] = [];
    const version = await programVersion(runCommand, join(folder, 'etcd'), signal, (_, why) => told.push(why));
    assert.deepEqual([version, existsSync(canary), told.length], ['', false, 1]);
    await rm(folder, { recursive: true });
  });
  it('is empty when the program fails, hangs or is missing', async () => {
    assert.equal(
      await programVersion(async () => ({ code: 1, stdout: 'Kubernetes v1.2.3', stderr: '' }), '/p', signal),
      '',
    );
    assert.equal(await programVersion(() => Promise.reject(new AppError('deadline', 'late')), '/p', signal), '');
  });
  it('ends with the signal instead of calling the version unknown', async () => {
    const stop = new AbortController();
    const run = () => {
      stop.abort();
      return Promise.reject(new AppError('unavailable', 'stopped'));
    };
    await assert.rejects(programVersion(run, '/p', stop.signal), { name: 'AbortError' });
  });
});
