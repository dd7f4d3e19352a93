import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { diffLines } from './diff-lines.ts';

const lines = (text: string) =>
  text
    .split('')
    .join('\n')
    .concat(text === '' ? '' : '\n');

describe('diffLines', () => {
  const rows: [string, string, string, string][] = [
    ['nothing for equal texts', 'a\n', 'a\n', ''],
    ['a new file', '', 'a\nb\n', '@@ -0,0 +1,2 @@\n+a\n+b\n'],
    ['a file that becomes empty', 'a\n', '', '@@ -1,1 +0,0 @@\n-a\n'],
    [
      'a change with three lines around',
      lines('abcdefghi'),
      lines('abcdXfghi'),
      '@@ -2,7 +2,7 @@\n b\n c\n d\n-e\n+X\n f\n g\n h\n',
    ],
    ['a line break that is missing', 'a', 'a\n', '@@ -1,1 +1,1 @@\n-a\n\\ No newline at end of file\n+a\n'],
  ];
  for (const [what, before, after, want] of rows) {
    it(`shows ${what}`, () => {
      assert.equal(diffLines(before, after), want);
    });
  }

  it('makes two hunks of changes far apart', () => {
    const diff = diffLines(lines('abcdefghijklmnop'), lines('Xbcdefghijklmnoq'));
    assert.equal(diff.match(/^@@/gm)?.length, 2);
  });

  it('can be applied by patch(1), for many texts', (test) => {
    if (spawnSync('patch', ['--version']).error !== undefined) return test.skip('there is no patch(1) here');
    const folder = mkdtempSync(join(tmpdir(), 'kube-mtls-diff-'));
    try {
      let seed = 3;
      const random = (below: number) => {
        seed = (seed * 1103515245 + 12345) % 2 ** 31;
        return (seed >> 8) % below;
      };
      const text = () => Array.from({ length: random(25) }, () => `${'abc'.charAt(random(3))}\n`).join('');
      for (let round = 0; round < 20; round++) {
        const [before, after] = [text(), text()];
        if (before === after) continue;
        writeFileSync(join(folder, 'file'), before);
        const input = `--- file\n+++ file\n${diffLines(before, after)}`;
        const { status } = spawnSync('patch', ['-s', '-o', 'out', 'file'], { cwd: folder, input });
        assert.equal(status, 0, input);
        assert.equal(spawnSync('cat', ['out'], { cwd: folder }).stdout.toString(), after, input);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
