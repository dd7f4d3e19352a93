// biome-ignore-all lint/suspicious/noTemplateCurlyInString: ${NAME} is a variable of systemd here
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseExecLine, quoteExecWord } from './exec-words.ts';
import { NotUnderstood } from './not-understood.ts';

const environment = new Map([
  ['ONE', 'one'],
  ['TWO', 'two two'],
  ['QUOTED', `'one' "two  two" th\\ ree "" e'n'd`],
  ['OPEN', '"a b'],
  ['EMPTY', ''],
  ['PATH', '/bin'],
]);
const context = { unitName: 'etcd.service', hostname: 'cp1.example.org', environment, place: { path: '/u', line: 7 } };

function parse(text: string) {
  return parseExecLine(text, context);
}

function values(text: string): string[] {
  return parse(`/p ${text}`)
    .words.slice(1)
    .flatMap((word) => word.values);
}

describe('parseExecLine', () => {
  const rows: [string, string, string[]][] = [
    ['splits at blanks and tabs', 'a  b\tc', ['a', 'b', 'c']],
    ['removes quotes', `"a b" 'c d'`, ['a b', 'c d']],
    ['removes quotes inside a word', `--x="a b"c`, ['--x=a bc']],
    ['keeps the other quote inside quotes', `"it's" 'say "x"'`, [`it's`, 'say "x"']],
    ['keeps an empty quoted word', `"" ''`, ['', '']],
    [
      'reads C escapes in and out of quotes',
      String.raw`a\tb "\n\x41\101\u00e9\U0001F600" 'x\'y' \s`,
      ['a\tb', '\nAAé😀', "x'y", ' '],
    ],
    [
      'keeps escapes that are none, with the character',
      String.raw`a\qb \d a\ b`,
      [String.raw`a\qb`, String.raw`\d`, String.raw`a\ b`],
    ],
    ['splits $NAME as a word of its own', '$ONE $TWO', ['one', 'two', 'two']],
    ['respects quotes and backslashes in the value it splits', '$QUOTED', ['one', 'two  two', 'th ree', '', 'end']],
    ['splits a value whose quote is not closed', '$OPEN', ['a b']],
    ['gives nothing for an empty or unknown $NAME', '$EMPTY $NOPE', []],
    ['splits $NAME even in quotes, as systemd does', '"$TWO"', ['two', 'two']],
    ['gives exactly one value for ${NAME}', '${TWO} ${EMPTY} ${NOPE}', ['two two', '', '']],
    ['replaces ${NAME} inside a word', '--a=${ONE},${TWO}', ['--a=one,two two']],
    ['leaves $NAME inside a word', '--a=$ONE', ['--a=$ONE']],
    ['takes $$ for a dollar', '$$ONE a$$ $${ONE}', ['$ONE', 'a$', '${ONE}']],
    ['leaves what shells would understand', '${ONE:-x} ${ONE', ['${ONE:-x}', '${ONE']],
    ['takes the rest of a word for the name', '$ONE-x', []],
    ['does not expand what an expansion gave', '${DOLLAR}', ['']],
    [
      'expands specifiers',
      '%H %l %n %N %p %i. %h %%H',
      ['cp1.example.org', 'cp1', 'etcd.service', 'etcd', 'etcd', '.', '/root', '%H'],
    ],
    ['leaves a percent sign before what is neither letter nor digit', '50% %/a %-', ['50%', '%/a', '%-']],
    ['takes \\; for a semicolon', String.raw`a \; b`, ['a', ';', 'b']],
    ['takes a quoted semicolon for a word', `a ";" b;c`, ['a', ';', 'b;c']],
    ['knows no shell', 'a > b | c &', ['a', '>', 'b', '|', 'c', '&']],
  ];
  for (const [name, text, expected] of rows) it(name, () => assert.deepEqual(values(text), expected));

  const prefixes: [string, string, string][] = [
    ['/usr/bin/etcd', '', '/usr/bin/etcd'],
    ['-/usr/bin/etcd', '-', '/usr/bin/etcd'],
    ['@-/usr/bin/etcd', '@-', '/usr/bin/etcd'],
    ['-:+/usr/bin/etcd', '-:+', '/usr/bin/etcd'],
    ['!!/usr/bin/etcd', '!!', '/usr/bin/etcd'],
    ['"-/opt/my etcd/etcd"', '-', '/opt/my etcd/etcd'],
    ['/opt/%p/etcd', '', '/opt/etcd/etcd'],
    ['etcd', '', 'etcd'],
  ];
  for (const [text, expected, program] of prefixes) {
    it(`reads the prefixes of ${text}`, () => {
      const line = parse(`${text} name`);
      assert.equal(line.prefixes, expected);
      assert.deepEqual(line.words[0], { raw: text, values: [program] });
      assert.deepEqual(line.words[1]?.values, expected.includes('@') ? [] : ['name']);
    });
  }
  it('expands no variable behind the prefix ":"', () => {
    assert.deepEqual(
      parse(':/p $ONE ${TWO} $$')
        .words.slice(1)
        .flatMap((word) => word.values),
      ['$ONE', '${TWO}', '$$'],
    );
  });
  it('keeps raw words exactly', () => {
    const text = String.raw`@/p  "a b"	--x='$ONE'\x41  ${'${TWO}'} $QUOTED`;
    assert.deepEqual(
      parse(text).words.map((word) => word.raw),
      ['@/p', '"a b"', String.raw`--x='$ONE'\x41`, '${TWO}', '$QUOTED'],
    );
  });

  const refusals: [string, string, RegExp][] = [
    ['an open quote', '/p "a', /not closed/],
    ['several commands', '/p a ; /q', /several commands/],
    ['a semicolon instead of a program', '; /q', /several commands/],
    ['an empty line', '  ', /names no program/],
    ['prefixes alone', '-@', /names no program/],
    ['a folder', '/usr/bin/', /names no program/],
    ['a relative path', 'bin/etcd', /names no program/],
    ['a prefix of later versions', '|/usr/bin/etcd', /names no program/],
    ['a specifier it does not know', '/p %m', /%m/],
    ['a percent sign before a digit, like systemd', '/p 100%25', /%2/],
    ['a NUL escape', String.raw`/p a\x00b`, /stands for no character/],
    ['a byte that is no text', String.raw`/p \xff`, /stands for no character/],
    ['a surrogate', String.raw`/p \ud800`, /stands for no character/],
    ['a variable that systemd sets', '/p ${HOME}', /HOME/],
    ['a folder variable that systemd sets', '/p $STATE_DIRECTORY', /STATE_DIRECTORY/],
  ];
  for (const [name, text, message] of refusals) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => parse(text),
        (error) => error instanceof NotUnderstood && message.test(error.message) && error.place.line === 7,
      );
    });
  }
  it('takes a variable that the unit sets itself though systemd also would', () => {
    assert.deepEqual(values('${PATH}'), ['/bin']);
  });
});

describe('raw words', () => {
  /** The same sequence each time: Lehmer's generator. */
  function* numbers(): Generator<number, never> {
    for (let state = 42; ; state = (state * 48271) % 2147483647) yield state;
  }
  const random = numbers();
  const pick = (count: number) => random.next().value % count;
  const ALPHABET = [...'ab-=/,:;#$%{}\\\'" \t\n\x01é😀[]()!@+ONE'];
  const word = () => Array.from({ length: pick(9) }, () => ALPHABET[pick(ALPHABET.length)]).join('');

  it('made by quoteExecWord give back exactly the value', () => {
    for (let round = 0; round < 3000; round++) {
      const expected = Array.from({ length: 1 + pick(5) }, word);
      const line = parse(`/p ${expected.map(quoteExecWord).join(' ')}`);
      assert.deepEqual(
        line.words.slice(1).map((one) => one.values),
        expected.map((one) => [one]),
      );
    }
  });
  it('made by quoteExecWord stay on their line and begin no comment or continuation', () => {
    for (let round = 0; round < 3000; round++) assert.match(quoteExecWord(word()), /^[^\n\r]*[^\n\r\\]$/);
  });
  it('joined by blanks give the same raw words and values again', () => {
    let read = 0;
    for (let round = 0; round < 5000; round++) {
      let first: ReturnType<typeof parse>;
      try {
        first = parse(`/p ${word()} ${word()}\t${word()}`);
      } catch (error) {
        assert.ok(error instanceof NotUnderstood);
        continue;
      }
      read++;
      assert.deepEqual(parse(first.words.map((one) => one.raw).join(' ')), first);
    }
    assert.ok(read > 1000, `only ${read} lines could be read`);
  });
});
