import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { control, controlFiles } from './control-files.ts';
import { changelog } from './documents.ts';
import { packages } from './package-definitions.ts';
import { debianVersion } from './release.ts';
import { stageTree } from './stage-tree.ts';

const release = { version: '1.2.3', epoch: 1_790_000_000, commit: 'abc' };

describe('control files', () => {
  let tree: string;
  before(async () => {
    tree = await mkdtemp(join(tmpdir(), 'control-'));
  });
  after(() => rm(tree, { recursive: true }));

  for (const definition of packages) {
    it(`describe ${definition.name} in lines that fit`, () => {
      const text = control(definition, { release, architecture: 'arm64', installedKib: 7 });
      assert.match(text, new RegExp(`^Package: ${definition.name}\nVersion: 1\\.2\\.3\nArchitecture: arm64\n`));
      const [, description = ''] = text.split('\nDescription: ');
      const [synopsis = '', ...lines] = description.trimEnd().split('\n');
      assert.ok(synopsis.length < 61, synopsis);
      for (const line of lines) assert.match(line, /^ (\.|\S.{0,77})$/);
      assert.equal(lines.filter((line) => line === ' .').length, definition.description.length - 1);
    });
  }

  it('list files below etc as conffiles, and the digests of all others', async () => {
    const [, agent] = packages;
    assert.ok(agent);
    await stageTree(
      tree,
      [
        { path: 'usr/bin/a', mode: 0o755, content: 'a' },
        { path: 'etc/kube-mtls/agent.yaml', mode: 0o644, content: '#' },
      ],
      release.epoch,
    );
    const files = await controlFiles(agent, {
      repository: join(import.meta.dirname, '..'),
      release,
      architecture: 'amd64',
      tree,
    });
    const contentOf = (name: string) => {
      const file = files.find(({ path }) => path === `DEBIAN/${name}`);
      return file !== undefined && 'content' in file ? file.content : undefined;
    };
    assert.equal(contentOf('conffiles'), '/etc/kube-mtls/agent.yaml\n');
    assert.equal(contentOf('md5sums'), '0cc175b9c0f1b6a831c399e269772661  usr/bin/a\n');
    assert.match(String(contentOf('control')), /^Installed-Size: 2$/m);
    const scripts = files.filter(({ mode }) => mode === 0o755).map(({ path }) => path);
    assert.deepEqual(scripts, ['DEBIAN/postinst', 'DEBIAN/prerm', 'DEBIAN/postrm']);
  });

  it('come with files whose modes and times depend on nothing else', async () => {
    const before = process.umask(0o077);
    const root = join(tree, 'modes');
    try {
      await stageTree(root, [{ path: 'x/y', mode: 0o644, content: '' }], release.epoch);
    } finally {
      process.umask(before);
    }
    const [folder, file] = [await stat(join(root, 'x')), await stat(join(root, 'x/y'))];
    assert.deepEqual([folder.mode & 0o7777, file.mode & 0o7777], [0o755, 0o644]);
    assert.deepEqual([folder.mtimeMs, file.mtimeMs], [release.epoch * 1000, release.epoch * 1000]);
  });

  it('never write a file twice', async () => {
    const file = { path: 'twice', mode: 0o644, content: 'first' } as const;
    await assert.rejects(stageTree(join(tree, 'twice'), [file, { ...file, content: 'second' }], 0), { code: 'EEXIST' });
    assert.equal(await readFile(join(tree, 'twice/twice'), 'utf8'), 'first');
  });
});

describe('versions and changelog', () => {
  it('let a release candidate sort before its release', () => {
    assert.equal(debianVersion('1.0.0-rc.1'), '1.0.0~rc.1');
    assert.equal(debianVersion('1.0.0'), '1.0.0');
  });

  it('write the date as mail does', () => {
    assert.match(
      changelog('a', release),
      /^a \(1\.2\.3\) stable; [\s\S]*>\x20\x20\w{3}, \d\d Sep 2026 [\d:]{8} \+0000\n$/,
    );
  });
});
