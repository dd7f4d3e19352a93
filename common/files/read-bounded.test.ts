import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { listBounded, type ReadableFile, readBounded, readStart, readUpTo } from './read-bounded.ts';

const MOST = 4096;
const root = mkdtempSync(join(tmpdir(), 'kube-mtls-bounded-'));
after(() => rmSync(root, { recursive: true }));

function put(name: string, text: string): string {
  const path = join(root, name);
  writeFileSync(path, text);
  return path;
}

function link(name: string, target: string): string {
  const path = join(root, name);
  symlinkSync(target, path);
  return path;
}

describe('readBounded', () => {
  it('reads a file up to the limit, also behind a link', async () => {
    const path = put('exact', 'x'.repeat(MOST));
    for (const each of [path, link('link', path)]) {
      const found = await readBounded(each, MOST);
      assert.ok(found.kind === 'file' && found.content.length === MOST);
    }
  });

  const refused: [what: string, make: () => string, kind: string][] = [
    ['a file of more than the limit', () => put('larger', 'x'.repeat(MOST + 1)), 'too-large'],
    ['a sparse file of a terabyte', () => sparse('sparse'), 'too-large'],
    ['a file without end and of size 0', () => link('pagemap', '/proc/self/pagemap'), 'made-up'],
    ['a file of sysfs', () => link('sysfs', '/sys/kernel/mm/transparent_hugepage/enabled'), 'made-up'],
    ['a named pipe that nobody writes to', () => pipe('pipe'), 'other'],
    ['a device without end', () => link('zero', '/dev/zero'), 'other'],
    ['a folder', () => root, 'other'],
  ];
  for (const [what, make, kind] of refused) {
    it(`does not read ${what}`, { timeout: 10_000 }, async () => {
      assert.equal((await readBounded(make(), MOST)).kind, kind);
    });
  }

  it('does not follow a link where that is not wanted', async () => {
    const path = link('not-followed', put('target', 'x'));
    assert.equal((await readBounded(path, MOST, constants.O_NOFOLLOW)).kind, 'other');
  });

  it('says that there is nothing, as the file system does', async () => {
    await assert.rejects(readBounded(join(root, 'missing'), MOST), { code: 'ENOENT' });
  });
});

describe('readUpTo', () => {
  it('ends at the limit in a file that grows as fast as it is read', async () => {
    let given = 0;
    const growing = {
      read: async (buffer: Buffer, _offset: number, length: number) => {
        given += length;
        return { bytesRead: length, buffer };
      },
    } as unknown as ReadableFile; // as much of it as is called
    assert.equal((await readUpTo(growing, 100_000)).length, 100_000);
    assert.equal(given, 100_000);
  });

  it('puts a file together that comes in pieces of any size', async () => {
    const content = Buffer.from(Array.from({ length: 100_000 }, (_, at) => at % 251));
    for (const most of [1, 999, 4096, 1_000_000]) {
      let at = 0;
      const pieces = {
        read: async (buffer: Buffer, offset: number, length: number) => {
          const bytesRead = content.copy(buffer, offset, at, at + Math.min(length, most));
          at += bytesRead;
          return { bytesRead, buffer };
        },
      } as unknown as ReadableFile; // as above
      assert.deepEqual(await readUpTo(pieces, 200_000), content);
    }
  });
});

describe('readStart', () => {
  it('reads what has no size', async () => {
    assert.match((await readStart('/proc/self/stat', 10)).toString(), /^\d+ \(/);
    assert.equal((await readStart('/proc/self/pagemap', 1000)).length, 1000);
  });
});

describe('listBounded', () => {
  it('lists folders below too, follows no link, and gives up past the limit', async () => {
    const folder = join(root, 'folder');
    mkdirSync(join(folder, 'below'), { recursive: true });
    put('folder/a', '');
    put('folder/below/b', '');
    link('folder/loop', folder);
    const list = async (mostEntries: number, below: boolean) =>
      (await listBounded(folder, { mostEntries, below }))?.map(({ path }) => path.slice(folder.length)).sort();
    assert.deepEqual(await list(3, false), ['/a', '/below', '/loop']);
    assert.deepEqual(await list(4, true), ['/a', '/below', '/below/b', '/loop']);
    assert.equal(await list(3, true), undefined);
    assert.equal(await list(2, false), undefined);
  });
});

function sparse(name: string): string {
  const path = put(name, '');
  truncateSync(path, 2 ** 40);
  return path;
}

function pipe(name: string): string {
  const path = join(root, name);
  execFileSync('mkfifo', [path]);
  return path;
}
