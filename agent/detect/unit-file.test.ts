import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NotUnderstood } from './not-understood.ts';
import { inForce, lastValue, parseUnitFile } from './unit-file.ts';

function parse(text: string) {
  return parseUnitFile({ path: '/u', text, mode: 0o644, uid: 0, gid: 0 });
}

function service(text: string): string[] {
  return parse(`[Service]\n${text}`).map(({ key, value, line }) => `${line} ${key}=${value}`);
}

describe('parseUnitFile', () => {
  const rows: [string, string, string[]][] = [
    ['keeps everything after the first "="', 'A=b=c d', ['2 A=b=c d']],
    ['strips blanks around key and value', '  A =\t b \t', ['2 A=b']],
    ['keeps an empty value, the reset', 'A=', ['2 A=']],
    ['skips comments of both kinds', '# A=1\n  ; B=2\nC=3', ['4 C=3']],
    [
      'joins continued lines by one blank and keeps the first line number',
      'A=a \\\n  b\\\nc\nB=1',
      ['2 A=a    b c', '5 B=1'],
    ],
    ['drops comments between continued lines', 'A=a \\\n# no \\\n;nor this\n b\nB=2', ['2 A=a   b', '6 B=2']],
    ['ends a continuation at an empty line', 'A=a \\\n\nB=2', ['2 A=a', '4 B=2']],
    ['takes no escaped backslash for a continuation', 'A=a\\\\\nB=2', ['2 A=a\\\\', '3 B=2']],
    ['takes three backslashes for a continuation', 'A=a\\\\\\\nB=2', ['2 A=a\\\\ B=2']],
    ['takes no backslash before a blank for a continuation', 'A=a\\ \nB=2', ['2 A=a\\', '3 B=2']],
    ['reads a continuation that the file ends in', 'A=a \\', ['2 A=a']],
    ['reads Windows line ends', 'A=a \\\r\n b\r\nB=2\r\n', ['2 A=a   b', '4 B=2']],
    ['takes no comment sign inside a value for a comment', 'A=a # b ; c', ['2 A=a # b ; c']],
    ['takes a continued line that looks like a section for a value', 'A=a \\\n[Unit]', ['2 A=a  [Unit]']],
  ];
  for (const [name, text, expected] of rows) it(name, () => assert.deepEqual(service(text), expected));

  it('tells sections apart and skips a byte order mark', () => {
    const found = parse('\uFEFF[Unit]\nA=1\n[Service]\nA=2\n[X-Foo]\nA=3');
    assert.deepEqual(
      found.map(({ section, value }) => [section, value]),
      [
        ['Unit', '1'],
        ['Service', '2'],
        ['X-Foo', '3'],
      ],
    );
  });

  const refusals: [string, string, number][] = [
    ['a section header without its end', '[Service]\nA=1\n[Unit\nB=2', 3],
    ['an empty section header', '[]\n', 1],
    ['a section header with quotes', '["Service"]\n', 1],
    ['a line that is no assignment', '[Service]\n\n# c\nExecStart /usr/bin/etcd', 4],
    ['an assignment without a key', '[Service]\n=x', 2],
    ['an assignment before the first section', '\nA=1\n[Service]', 2],
    ['a broken line after a continued one, by its own number', '[Service]\nA=a \\\n b\ngarbage', 4],
  ];
  for (const [name, text, line] of refusals) {
    it(`refuses ${name} and names the line`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof NotUnderstood && error.place.line === line && error.place.path === '/u',
      );
    });
  }
});

describe('inForce', () => {
  const assignments = parse('[Service]\nE=1\nE=2\n[Unit]\nE=\n[Service]\nF=x\nE=3');
  it('gathers a repeated key of one section', () => {
    assert.deepEqual(
      inForce(assignments, 'Service', 'E').map(({ value }) => value),
      ['1', '2', '3'],
    );
  });
  it('forgets what stands before an empty assignment, across files', () => {
    const all = [...assignments, ...parse('[Service]\nE=\nE=4')];
    assert.deepEqual(
      inForce(all, 'Service', 'E').map(({ value }) => value),
      ['4'],
    );
  });
  it('is empty after a reset', () => {
    assert.deepEqual(inForce([...assignments, ...parse('[Service]\nE=')], 'Service', 'E'), []);
  });
  it('gives the last of a single value, and nothing after its reset', () => {
    assert.equal(lastValue(assignments, 'Service', 'E'), '3');
    assert.equal(lastValue([...assignments, ...parse('[Service]\nE=')], 'Service', 'E'), '');
    assert.equal(lastValue(assignments, 'Service', 'G'), '');
  });
});
