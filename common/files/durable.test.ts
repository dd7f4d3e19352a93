import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  linkTarget,
  makeFolder,
  removeDurably,
  switchSymlink,
  syncFolder,
  writeAndSync,
  writeFileDurably,
} from './durable.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-durable-'));
after(() => rmSync(parent, { recursive: true }));

const isRoot = process.geteuid?.() === 0;
const newFolder = () => mkdtempSync(join(parent, 'x-'));
const modeOf = (path: string) => statSync(path).mode & 0o7777;

describe('writeFileDurably', () => {
  for (const mode of [0o600, 0o640, 0o644, 0o755]) {
    it(`writes with mode ${mode.toString(8)}, whatever the umask and the mode before`, async () => {
      const path = join(newFolder(), 'file');
      const umask = process.umask(0o077);
      try {
        await writeFileDurably(path, 'one', { mode });
        assert.equal(modeOf(path), mode);
        chmodSync(path, 0o666);
        await writeFileDurably(path, Buffer.from('two'), { mode });
      } finally {
        process.umask(umask);
      }
      assert.deepEqual([readFileSync(path, 'utf8'), modeOf(path)], ['two', mode]);
    });
  }

  it('gives the file away as asked, user and group each alone too', { skip: !isRoot && 'needs root' }, async () => {
    const path = join(newFolder(), 'file');
    const owners: [given: { uid?: number; gid?: number }, is: number[]][] = [
      [{ uid: 4242, gid: 4243 }, [4242, 4243]],
      [{ uid: 4242 }, [4242, 0]],
      [{ gid: 4243 }, [0, 4243]],
      [{ uid: 0, gid: 4243 }, [0, 4243]],
      [{}, [0, 0]],
    ];
    for (const [given, is] of owners) {
      await writeFileDurably(path, '', { mode: 0o600, ...given });
      const { uid, gid } = statSync(path);
      assert.deepEqual([uid, gid], is, JSON.stringify(given));
    }
  });

  it('replaces a link instead of writing to where it points', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'target'), 'precious');
    symlinkSync('target', join(folder, 'file'));
    await writeFileDurably(join(folder, 'file'), 'new', { mode: 0o600 });
    assert.equal(readFileSync(join(folder, 'target'), 'utf8'), 'precious');
    assert.ok(lstatSync(join(folder, 'file')).isFile());
  });

  it('leaves the old content, and nothing beside it, when it fails', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'taken', 'deep'), { recursive: true });
    await assert.rejects(writeFileDurably(join(folder, 'taken'), 'x', { mode: 0o600 }), { code: /EISDIR|ENOTEMPTY/ });
    assert.deepEqual(readdirSync(folder), ['taken']);
    await assert.rejects(writeFileDurably(join(folder, 'nowhere', 'file'), 'x', { mode: 0o600 }), { code: 'ENOENT' });
  });

  it('is not in the way of what a crash left beside it', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, '.file.kube-mtls-0123456789ab'), 'half');
    await writeFileDurably(join(folder, 'file'), 'whole', { mode: 0o600 });
    assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'whole');
  });

  it('shows readers the old content or the new, whole', async () => {
    const path = join(newFolder(), 'file');
    const texts = ['a'.repeat(100_000), 'b'.repeat(100_000)];
    await writeFileDurably(path, texts[0] ?? '', { mode: 0o600 });
    let done = false;
    const write = async () => {
      for (let turn = 0; turn < 10; turn++) await writeFileDurably(path, texts[turn % 2] ?? '', { mode: 0o600 });
      done = true;
    };
    const read = async () => {
      while (!done) {
        assert.ok(texts.includes(readFileSync(path, 'utf8')));
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await Promise.all([write(), read()]);
  });
});

describe('writeAndSync', () => {
  it('never writes over a file, nor through a link', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), 'precious');
    symlinkSync('nowhere', join(folder, 'link'));
    for (const name of ['file', 'link']) {
      await assert.rejects(writeAndSync(join(folder, name), 'x', { mode: 0o600 }), { code: 'EEXIST' });
    }
    assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'precious');
    assert.equal(existsSync(join(folder, 'nowhere')), false);
  });
});

describe('switchSymlink', () => {
  it('makes a link, and makes it point elsewhere', async () => {
    const folder = newFolder();
    for (const target of ['v1', 'v2']) {
      await switchSymlink(join(folder, 'current'), target);
      assert.equal(readlinkSync(join(folder, 'current')), target);
    }
    assert.deepEqual(readdirSync(folder), ['current']);
  });

  it('leaves nothing beside it when it fails', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'current'));
    await assert.rejects(switchSymlink(join(folder, 'current'), 'v1'), { code: /EISDIR|EEXIST/ });
    assert.deepEqual(readdirSync(folder), ['current']);
  });
});

describe('linkTarget', () => {
  it('tells where a link points, and undefined for what is none', async () => {
    const folder = newFolder();
    symlinkSync('v1', join(folder, 'link'));
    writeFileSync(join(folder, 'file'), '');
    assert.equal(await linkTarget(join(folder, 'link')), 'v1');
    for (const name of ['file', '.', 'nothing']) assert.equal(await linkTarget(join(folder, name)), undefined);
    await assert.rejects(linkTarget(join(folder, 'file', 'below')), { code: 'ENOTDIR' });
  });
});

describe('makeFolder', () => {
  it('makes parents that all may enter, and the last one as asked', async () => {
    const folder = newFolder();
    const umask = process.umask(0o022);
    try {
      await makeFolder(join(folder, 'a', 'b', 'c'), { mode: 0o700 });
    } finally {
      process.umask(umask);
    }
    const modes = ['a', 'a/b', 'a/b/c'].map((name) => modeOf(join(folder, name)));
    assert.deepEqual(modes, [0o755, 0o755, 0o700]);
  });

  it('sets mode and owner of one that exists, and keeps what is in it', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), 'x');
    const owner = isRoot ? { gid: 4243 } : {};
    await makeFolder(folder, { mode: 0o750, ...owner });
    assert.equal(modeOf(folder), 0o750);
    if (isRoot) assert.deepEqual([statSync(folder).uid, statSync(folder).gid], [0, 4243]);
    assert.deepEqual(readdirSync(folder), ['file']);
  });

  it('refuses where a file stands', async () => {
    const path = join(newFolder(), 'file');
    writeFileSync(path, '');
    await assert.rejects(makeFolder(path, { mode: 0o700 }), { code: 'EEXIST' });
  });
});

describe('removeDurably', () => {
  it('removes a file, a link and nothing', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), '');
    symlinkSync('file', join(folder, 'link'));
    for (const name of ['link', 'file', 'nothing']) await removeDurably(join(folder, name));
    assert.deepEqual(readdirSync(folder), []);
    await syncFolder(folder);
  });
});
