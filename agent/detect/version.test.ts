import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AppError } from '../../common/errors/app-error.ts';
import type { CommandOptions } from '../../common/run/command.ts';
import { programVersion } from './version.ts';

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
