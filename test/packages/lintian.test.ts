/** Debian's own judge of packages. */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { runCommand } from '../../common/run/command.ts';
import { installPackages } from '../lab/debian-packages.ts';
import { buildPackages } from '../lab/fleet.ts';
import { DIST } from '../lab/places.ts';

describe('lintian', () => {
  before(async () => {
    await buildPackages(console.log);
    await installPackages(['lintian'], console.log);
  });

  it('finds no error in the packages of this machine', async () => {
    const check = `lintian --allow-root --fail-on error ${DIST}/kube-mtls-*_amd64.deb`;
    const { code, stdout } = await runCommand(['sh', '-c', check], { timeoutMs: 10 * 60_000 });
    assert.equal(code, 0, stdout);
  });
});
