import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editYaml, type YamlEdit } from './edit-yaml.ts';

const set = (path: string, to: string | boolean): YamlEdit => ({ kind: 'set', path: path.split('.'), to });
const remove = (path: string): YamlEdit => ({ kind: 'remove', path: path.split('.') });

const rows: { it: string; text: string; edits: YamlEdit[]; want: string }[] = [
  {
    it: 'sets a scalar and keeps the comment beside it',
    text: '# top\na: 1 # one\nb:   "two"   # two\n',
    edits: [set('b', '/x')],
    want: '# top\na: 1 # one\nb:   /x   # two\n',
  },
  {
    it: 'adds keys at the end of their mapping with its indent',
    text: 'a:\n    b: 1\n    # after b\nc: 2\n# end\n',
    edits: [set('a.d', true), set('e', '/x')],
    want: 'a:\n    b: 1\n    d: true\n    # after b\nc: 2\ne: /x\n# end\n',
  },
  {
    it: 'makes missing branches',
    text: 'a: 1\n',
    edits: [set('b.c.d', '/x'), set('b.c.e', false)],
    want: 'a: 1\nb:\n  c:\n    d: /x\n    e: false\n',
  },
  {
    it: 'fills a branch that is empty',
    text: 'authentication: # later\nb: ~\n',
    edits: [set('authentication.x509.clientCAFile', '/x')],
    want: 'authentication: {x509: {clientCAFile: /x}} # later\nb: ~\n',
  },
  {
    it: 'keeps a flow mapping in one line',
    text: 'a: {b: {c: 1}, d: {}}\n',
    edits: [set('a.b.c', false), set('a.b.e', '/x'), set('a.d.f', true)],
    want: 'a: {b: {c: false, e: /x}, d: {f: true}}\n',
  },
  {
    it: 'writes JSON where the file is JSON',
    text: '{\n  "a": 1,\n  "b": {"c": true}\n}\n',
    edits: [set('d', '/x'), set('b.c', false), set('e.f', '/y')],
    want: '{\n  "a": 1,\n  "b": {"c": false},\n  "d": "/x",\n  "e": {"f": "/y"}\n}\n',
  },
  {
    it: 'ends the last line before it adds one',
    text: 'a: 1',
    edits: [set('b', '/x')],
    want: 'a: 1\nb: /x\n',
  },
  {
    it: 'keeps the line breaks of Windows',
    text: 'a: 1\r\nb: 2\r\n',
    edits: [set('c.d', '/x'), remove('a')],
    want: 'b: 2\r\nc:\r\n  d: /x\r\n',
  },
  {
    it: 'replaces a value of several lines',
    text: 'a: |\n  x\n  y\nb: 1\n',
    edits: [set('a', '/x')],
    want: 'a: /x\nb: 1\n',
  },
  {
    it: 'removes a pair with all of its lines',
    text: 'a:\n  - b: >-\n      x\n      y\n    c: 1\nd: 2\n',
    edits: [{ kind: 'remove', path: ['a', 0, 'b'] }],
    want: 'a:\n  - c: 1\nd: 2\n',
  },
  {
    it: 'removes the last and the first pair of a flow mapping',
    text: 'a: {b: 1, c: 2, d: 3}\n',
    edits: [remove('a.d'), remove('a.b')],
    want: 'a: {c: 2}\n',
  },
  {
    it: 'gives a pair another key at its place',
    text: 'x:\n- u:\n    k-data: abc\n    z: 1\n',
    edits: [{ kind: 'rename', path: ['x', 0, 'u', 'k-data'], to: 'k' }],
    want: 'x:\n- u:\n    k: abc\n    z: 1\n',
  },
  {
    it: 'adds to a mapping whose last value has lines of its own',
    text: 'a:\n  b: |\n    x\n\n  # note\nc: 1\n',
    edits: [set('a.d', true)],
    want: 'a:\n  b: |\n    x\n  d: true\n\n  # note\nc: 1\n',
  },
  {
    it: 'sets, adds and takes out items',
    text: 'a:\n  - b # one\n  # two\n  - "c"\n',
    edits: [
      { kind: 'set', path: ['a', 0], to: '--x=1' },
      { kind: 'append', path: ['a'], item: 'd' },
      { kind: 'remove', path: ['a', 1] },
      { kind: 'append', path: ['e', 'f'], item: { g: { h: '/x' }, i: true } },
    ],
    want: 'a:\n  - --x=1 # one\n  # two\n  - "d"\ne:\n  f:\n  - g:\n      h: /x\n    i: true\n',
  },
  {
    it: 'adds to a list that is empty, or null, or ends without a line break',
    text: 'a: []\nb:\nc:\n- x',
    edits: ['a', 'b', 'c'].map((key): YamlEdit => ({ kind: 'append', path: [key], item: 'true' })),
    want: 'a: ["true"]\nb: ["true"]\nc:\n- x\n- "true"\n',
  },
  {
    it: 'takes items out of lists between brackets and keeps comments of others',
    text: 'a: [\n  b, # b\n  # c\n  c, d,\n  e\n]\nf: [g, h]\n',
    edits: [
      { kind: 'remove', path: ['a', 2] },
      { kind: 'remove', path: ['a', 0] },
      { kind: 'remove', path: ['f', 0] },
    ],
    want: 'a: [\n  # c\n  c, \n  e\n]\nf: [h]\n',
  },
  {
    it: 'replaces an item of several lines',
    text: 'a:\n- |\n  x\n  y\n- b\n',
    edits: [{ kind: 'set', path: ['a', 0], to: '/x' }],
    want: 'a:\n- /x\n- b\n',
  },
  {
    it: 'replaces a part of an item, whose lines stay',
    text: "a:\n- run --x=1\n  --y='2'\n",
    edits: [{ kind: 'substitute', path: ['a', 0], from: "--y='2'", to: '--y=$&' }],
    want: 'a:\n- run --x=1\n  --y=$&\n',
  },
];

const refusals: { it: string; text: string; edits: YamlEdit[]; message: RegExp }[] = [
  { it: 'what is no YAML, with its line', text: 'a: 1\nb: [1\n', edits: [set('z', true)], message: /^line 3: / },
  {
    it: 'a key that is there twice',
    text: 'a: 1\na: 2\n',
    edits: [set('z', true)],
    message: /^line 2: map keys must be unique/,
  },
  { it: 'a list at the top', text: '- a\n', edits: [set('z', true)], message: /holds no mapping/ },
  { it: 'several documents', text: 'a: 1\n---\na: 2\n', edits: [set('z', true)], message: /^line/ },
  { it: 'aliases', text: 'a: &x {b: 1}\nc: *x\n', edits: [set('z', true)], message: /aliases/ },
  { it: 'a scalar where a mapping should be', text: 'a: 1\n', edits: [set('a.b', '/x')], message: /no mapping/ },
  {
    it: 'a mapping where a scalar should be',
    text: 'a: {b: 1}\n',
    edits: [set('a', '/x')],
    message: /no single value/,
  },
  {
    it: 'an item of what is no list',
    text: 'a: 1\n',
    edits: [{ kind: 'append', path: ['a'], item: 'b' }],
    message: /no list/,
  },
  {
    it: 'a mapping where an item should be',
    text: 'a:\n- b: 1\n',
    edits: [{ kind: 'set', path: ['a', 0], to: '/x' }],
    message: /no single value/,
  },
  {
    it: 'to take an item out of a list in a list',
    text: 'a:\n- - b\n  - c\n',
    edits: [{ kind: 'remove', path: ['a', 0, 0] }],
    message: /list of lists/,
  },
  {
    it: 'a part that only the text has, and not the value',
    text: 'a:\n- "b\\x41"\n',
    edits: [{ kind: 'substitute', path: ['a', 0], from: '\\x41', to: 'c' }],
    message: /cannot be edited/,
  },
  { it: 'to take out the only pair', text: 'a:\n  b: 1\n', edits: [remove('a.b')], message: /cannot be edited/ },
];

/** What stands at an index is another item once one before it is gone. */
function isItem(path: YamlEdit['path']): boolean {
  return typeof path.at(-1) === 'number';
}

describe('editYaml', () => {
  for (const row of rows) {
    it(row.it, () => {
      const once = editYaml(row.text, row.edits);
      assert.equal(once, row.want);
      const again = row.edits
        .filter(({ kind }) => kind === 'set' || kind === 'remove')
        .filter(({ path }) => !isItem(path));
      assert.equal(editYaml(once, again), once, 'twice');
    });
  }
  for (const row of refusals) {
    it(`refuses ${row.it}`, () => {
      assert.throws(() => editYaml(row.text, row.edits), { reason: 'invalid-request', message: row.message });
    });
  }
});
