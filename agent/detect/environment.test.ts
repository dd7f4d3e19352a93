// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is text here
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { loadEnvironment } from './environment.ts';
import { parseEnvironmentFile } from './environment-file.ts';
import { FakeNode } from './fake-node.ts';
import { NotUnderstood } from './not-understood.ts';
import { parseUnitFile } from './unit-file.ts';

const owner = { mode: 0o644, uid: 0, gid: 0 };

function parse(text: string): Record<string, string> {
  return Object.fromEntries(parseEnvironmentFile({ path: '/e', text, ...owner }));
}

// compared with systemd 252 on a test host, random texts included
describe('parseEnvironmentFile', () => {
  const rows: [string, string, Record<string, string>][] = [
    ['reads assignments, the later one winning', 'A=1\nB=2\nA=3\n', { A: '3', B: '2' }],
    ['strips blanks around name and value, not within', '  A = b  c \t\n', { A: 'b  c' }],
    ['skips comments, empty lines and lines without "="', '# A=1\n ; B=2\n\nnothing\nC=3', { C: '3' }],
    ['takes no comment sign behind a value for a comment', 'A=1 # 2\nB=x;y', { A: '1 # 2', B: 'x;y' }],
    ['removes quotes around a value', `A="b c" \nB='d "e"'\nC=""`, { A: 'b c', B: 'd "e"', C: '' }],
    ['joins quoted pieces, blanks between them gone', `A="b " 'c'  d`, { A: 'b cd' }],
    ['keeps quotes that do not begin the value', `A=b "c"\nB=it's`, { A: 'b "c"', B: `it's` }],
    ['lets quoted values go over several lines', `A="b\nc"\nB='d\ne'\nC=1`, { A: 'b\nc', B: 'd\ne', C: '1' }],
    ['continues lines that end with a backslash', 'A=b\\\n  c\nB="d\\\ne"', { A: 'b  c', B: 'de' }],
    ['takes a backslash from unquoted characters', 'A=b\\"c\\\\d\\n\nB=1', { A: String.raw`b"c\dn`, B: '1' }],
    ['takes a backslash in double quotes only from "\\`$', 'A="\\$X \\" \\` \\\\ \\n"', { A: '$X " ` \\ \\n' }],
    ['takes no backslash in single quotes', `A='\\$ \\n'`, { A: '\\$ \\n' }],
    ['keeps an escaped blank at the end', 'A=b\\ \nC=1', { A: 'b ', C: '1' }],
    ['expands no variable and no specifier', 'A=$B ${C} %H', { A: '$B ${C} %H' }],
    ['keeps "=" in a value', 'A=b=c\nETCD_X=--x=y --z', { A: 'b=c', ETCD_X: '--x=y --z' }],
    ['reads Windows line ends', 'A=1\r\nB=2\r\n', { A: '1', B: '2' }],
    ['takes a comment that ends with a backslash before another comment', '# a\\\n# b\nA=1', { A: '1' }],
  ];
  for (const [name, text, expected] of rows) it(name, () => assert.deepEqual(parse(text), expected));

  const refusals: [string, string, number][] = [
    ['a double quote that is not closed', 'A=1\nB="x\nC=2\n', 2],
    ['a single quote that is not closed', `\n\nA='x`, 3],
    ['the export of shells', 'A="1\n2"\nexport B=1', 3],
    ['a name with a dash', 'A-B=1', 1],
    ['a line that begins with "="', '=1', 1],
    ['a comment that ends with a backslash before an assignment', 'A=1\n# old: \\\nB=2', 2],
  ];
  for (const [name, text, line] of refusals) {
    it(`refuses ${name} and names the line`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof NotUnderstood && error.place.line === line,
      );
    });
  }

  it('is not kept busy by a line of a million blanks', () => {
    const started = performance.now();
    assert.throws(() => parse(`a${' '.repeat(1_000_000)}b=c\n`), { message: /is no name of a variable/ });
    assert.ok(performance.now() - started < 20_000); // it took an hour
  });
});

describe('loadEnvironment', () => {
  let node: FakeNode;
  before(async () => {
    node = await FakeNode.create();
    await node.write('/etc/default/etcd', 'A=file\nD="1 2"\n');
    await node.write('/etc/late.env', 'A=late\n');
  });
  after(() => node.remove());

  async function load(text: string): Promise<Record<string, string>> {
    const assignments = parseUnitFile({ path: '/u', text: `[Service]\n${text}`, ...owner });
    const context = {
      layout: node.layout,
      unitName: 'etcd.service',
      hostname: 'cp1',
      ownFile: node.path('/etc/own.env'),
    };
    return Object.fromEntries(await loadEnvironment(assignments, context));
  }

  const rows: [string, string, Record<string, string>][] = [
    [
      'reads several assignments, quoted as a whole or in part',
      `Environment=A=1 "B=2 3" C='4 5'`,
      { A: '1', B: '2 3', C: '4 5' },
    ],
    ['expands specifiers and escapes', 'Environment=A=%H-%p "B=x\\ty"', { A: 'cp1-etcd', B: 'x\ty' }],
    ['expands no variables', 'Environment=A=1\nEnvironment=B=$A', { A: '1', B: '$A' }],
    ['lets the later assignment win', 'Environment=A=1\nEnvironment=A=2', { A: '2' }],
    ['forgets all before a reset', 'Environment=A=1\nEnvironment=\nEnvironment=B=2', { B: '2' }],
    [
      'lets files win over Environment= whatever the order',
      'EnvironmentFile=/etc/default/%p\nEnvironment=A=1 B=2',
      { A: 'file', B: '2', D: '1 2' },
    ],
    [
      'lets the later file win',
      'EnvironmentFile=/etc/default/etcd\nEnvironmentFile=/etc/late.env',
      { A: 'late', D: '1 2' },
    ],
    [
      'forgets files before a reset',
      'EnvironmentFile=/etc/default/etcd\nEnvironmentFile=\nEnvironmentFile=/etc/late.env',
      { A: 'late' },
    ],
    ['passes over a missing file with "-"', 'EnvironmentFile=-/etc/nothing\nEnvironment=A=1', { A: '1' }],
    ['passes over our own file when it is missing', 'EnvironmentFile=/etc/own.env\nEnvironment=A=1', { A: '1' }],
  ];
  for (const [name, text, expected] of rows) it(name, async () => assert.deepEqual(await load(text), expected));

  const refusals: [string, string, RegExp, number | undefined][] = [
    ['a missing file', 'EnvironmentFile=/etc/nothing', /no such file/, undefined],
    ['a folder, even with "-"', 'EnvironmentFile=-/etc/default', /not a regular file/, undefined],
    ['a wildcard', 'EnvironmentFile=/etc/*.env', /wildcard/, 2],
    ['a relative file', 'EnvironmentFile=etc/x', /absolute/, 2],
    ['what is no assignment', 'Environment=A', /NAME=VALUE/, 2],
    ['a name that is none', 'Environment=A=1 "B C=1"', /NAME=VALUE/, 2],
    ['an open quote', 'A=1\nEnvironment="A=1', /not closed/, 3],
    ['an unknown escape', String.raw`Environment=A=\d`, /escape/, 2],
    ['variables passed from the manager', 'PassEnvironment=ETCD_NAME', /PassEnvironment/, 2],
    ['variables taken away', 'UnsetEnvironment=A', /UnsetEnvironment/, 2],
  ];
  for (const [name, text, message, line] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        load(text),
        (error) => error instanceof NotUnderstood && message.test(error.message) && error.place.line === line,
      );
    });
  }
});
