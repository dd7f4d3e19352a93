import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readPem } from './credentials.ts';

describe('readPem', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'kube-mtls-pem-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  it('reads a file', async () => {
    writeFileSync(join(folder, 'a.crt'), 'text\n');
    assert.equal(await readPem(join(folder, 'a.crt')), 'text\n');
  });

  it('refuses what a hostile user of the component may put there, and does not wait for it', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe')]);
    symlinkSync('/dev/zero', join(folder, 'zero'));
    for (const name of ['pipe', 'zero', 'nothing']) {
      await assert.rejects(readPem(join(folder, name)), { reason: 'not-found', message: new RegExp(`${name} cannot`) });
    }
  });
});
