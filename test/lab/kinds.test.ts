import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';

const repository = join(import.meta.dirname, '../..');

it('names only tests and layouts that are there, for each kind', () => {
  const rows = readFileSync(join(repository, 'test/kinds.md'), 'utf8')
    .split('\n')
    .flatMap((line) => (/^\| \d+\. /.test(line) ? [line.split('|').slice(1, 4)] : []));
  assert.equal(rows.length, 16);
  for (const [kind = '', tests = '', layouts = ''] of rows) {
    const names = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
    assert.ok(names(tests).length > 0 || tests.includes('none yet'), kind);
    for (const path of names(tests)) assert.ok(existsSync(join(repository, path)), path);
    for (const name of names(layouts)) {
      assert.ok(existsSync(join(repository, 'agent/layouts/fixtures', name, 'layout.json')), name);
    }
  }
});
