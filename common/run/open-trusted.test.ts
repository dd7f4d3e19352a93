import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, it } from 'node:test';
import { runCommand } from './command.ts';
import { openTrusted } from './open-trusted.ts';

const NOBODY = 65534;
const isRoot = process.getuid?.() === 0;
/** Below this folder all belongs to root alone, where the tests run as root; else nothing here does, and all is refused. */
const root = mkdtempSync(join(isRoot ? '/var/lib' : tmpdir(), 'kube-mtls-trusted-'));
const canary = join(root, 'canary');

after(() => rmSync(root, { recursive: true }));

/** A program that tells of having run, in a new folder of a new folder, both of root's. */
function script(name: string): string {
  const path = join(root, name, 'bin', 'etcd');
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileSync(path, `#!/bin/sh\nid > ${canary}\necho etcd Version: 3.4.23\n`, { mode: 0o755 });
  return path;
}

function program(name: string, from: string): string {
  const path = script(name);
  copyFileSync(from, path);
  return path;
}

describe('a program that others may have put there', () => {
  const rows: [what: string, change: (path: string) => string | undefined, message: RegExp][] = [
    ['that belongs to another user', (path) => give(path), /bin\/etcd belongs to user 65534/],
    ['in a folder of another user', (path) => give(dirname(path)), /\/bin belongs to user 65534/],
    ['below a folder of another user', (path) => give(dirname(dirname(path))), /belongs to user 65534/],
    ['that its group may write', (path) => chmodSync(path, 0o775) ?? path, /etcd is writable for .*\(mode 0775\)/],
    ['in a folder that all may write', (path) => chmodSync(dirname(path), 0o777) ?? path, /bin is writable .*0777/],
    ['in a sticky folder that all may write', (path) => chmodSync(dirname(path), 0o1777) ?? path, /\(mode 1777\)/],
    ['that is a script', (path) => path, /no ELF program/],
    ['behind a link in a folder of another user', (path) => giveLink(path, path), /links belongs to user 65534/],
    ['behind two links', (path) => giveLink(path, '../links/second'), /links belongs to user 65534/],
    ['that is a folder', (path) => dirname(path), /is a folder/],
    ['behind a link that leads to itself', (path) => loop(path), /too many links/],
  ];
  for (const [index, [what, change, message]] of rows.entries()) {
    it(`is not run: one ${what}`, async () => {
      const path = script(`refused-${index}`);
      const changed = change(path) ?? path;
      const expected = { reason: 'policy-refused', message: isRoot ? message : /belongs to|writable/ };
      await assert.rejects(runCommand([changed, '--version'], { distrusted: true }), expected);
      assert.ok(!existsSync(canary));
    });
  }

  it('is not-found where there is none', async () => {
    await assert.rejects(openTrusted('/no/such/etcd'), { reason: 'not-found', message: /^\/no\/such\/etcd cannot/ });
    await assert.rejects(openTrusted('no-such-etcd'), { reason: 'not-found', message: /\/usr\/bin/ });
  });

  it('runs where only root can have put it, with nothing of ours: by path, by links and by name', async () => {
    assert.equal((await runCommand(['/usr/bin/env'], { distrusted: true })).stdout, '');
    assert.equal((await runCommand(['/bin/pwd', '-P'], { distrusted: true })).stdout, '/\n');
    assert.match((await runCommand(['env', '--version'], { distrusted: true })).stdout, /^env /);
    const ours = openSync(canary.replace('canary', 'ours'), 'w');
    const { stdout } = await runCommand(['/usr/bin/readlink', `/proc/self/fd/${ours}`], { distrusted: true });
    assert.equal(stdout, '');
    closeSync(ours);
  });

  it('runs where several links lead to it, all of them where only root can have put them', async () => {
    const path = isRoot ? program('linked', '/usr/bin/env') : '/usr/bin/env';
    if (isRoot)
      for (let at = 0; at < 3; at++) symlinkSync(at === 0 ? path : `link-${at - 1}`, join(dirname(path), `link-${at}`));
    const file = await openTrusted(isRoot ? join(dirname(path), 'link-2') : path);
    await file.close();
  });

  it('runs as it was when it was looked at, whatever stands there by then', async () => {
    const path = isRoot ? program('swapped', '/usr/bin/env') : '/usr/bin/env';
    const file = await openTrusted(path);
    if (isRoot) renameSync(script('other'), path);
    const { stdout } = spawnSync(`/proc/self/fd/${file.fd}`, ['--version'], { encoding: 'utf8' });
    await file.close();
    assert.match(stdout, /^(?:\/\S+|env) \(/);
    assert.ok(!existsSync(canary));
  });
});

function give(path: string): string | undefined {
  if (isRoot) chownSync(path, NOBODY, NOBODY);
  return path.endsWith('etcd') ? path : undefined;
}

/** A link to the program, below a folder of another user. */
function giveLink(path: string, target: string): string {
  const links = join(dirname(path), 'links');
  mkdirSync(links);
  symlinkSync(path, join(links, 'second'));
  symlinkSync(target, join(links, 'first'));
  give(links);
  return join(links, 'first');
}

function loop(path: string): string {
  const link = join(dirname(path), 'loop');
  symlinkSync('loop', link);
  return link;
}
