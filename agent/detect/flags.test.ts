import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Word } from './detected.ts';
import { apiserverDialect, etcdDialect, kubeletDialect } from './flag-dialects.ts';
import { type Flag, type FlagDialect, flagValues, lastFlag, parseFlags } from './flags.ts';
import { NotUnderstood } from './not-understood.ts';

/** A word is a text, or a list of values that one raw word expands to. */
function command(...words: (string | string[])[]): Word[] {
  return ['/p', ...words].map((word) =>
    Array.isArray(word) ? { raw: '$ARGS', values: word } : { raw: word, values: [word] },
  );
}

function parse(dialect: FlagDialect, ...words: (string | string[])[]): Flag[] {
  return parseFlags(command(...words), dialect, { path: '/u' });
}

function short(flags: Flag[]): string[] {
  return flags.map(
    (flag) => `${flag.name}=${flag.value} @${flag.wordIndex}+${flag.words}${flag.alone ? '' : ' shared'}`,
  );
}

describe('parseFlags', () => {
  const rows: [string, FlagDialect, (string | string[])[], string[]][] = [
    ['reads --name=value', apiserverDialect, ['--a=b=c', '--e='], ['a=b=c @1+1', 'e= @2+1']],
    ['reads --name value', apiserverDialect, ['--a', 'b', '--c=d'], ['a=b @1+2', 'c=d @3+1']],
    [
      'reads bare flags',
      apiserverDialect,
      ['--allow-privileged', '--x', '--a=b', '--y'],
      ['allow-privileged=true @1+1', 'x=true @2+1', 'a=b @3+1', 'y=true @4+1'],
    ],
    ['takes a negative number for a value', kubeletDialect, ['--oom-score-adj', '-999'], ['oom-score-adj=-999 @1+2']],
    ['takes an empty word for a value', kubeletDialect, ['--a', ''], ['a= @1+2']],
    ['reads underscores in names as dashes', kubeletDialect, ['--tls_cert_file=/a_b'], ['tls-cert-file=/a_b @1+1']],
    ['reads shorthands', kubeletDialect, ['-v=2', '-v', '3', '-v4'], ['v=2 @1+1', 'v=3 @2+2', 'v=4 @4+1']],
    [
      'reads single dashes of etcd as double ones',
      etcdDialect,
      ['-name', 'a', '-cert-file=/b', '--c_d=e'],
      ['name=a @1+2', 'cert-file=/b @3+1', 'c_d=e @4+1'],
    ],
    [
      'names the raw word that several flags come from',
      etcdDialect,
      [['--a=b', '--c', 'd'], '--e=f'],
      ['a=b @1+1 shared', 'c=d @1+1 shared', 'e=f @2+1'],
    ],
    ['knows a variable that holds one flag alone', etcdDialect, [['--a=b'], []], ['a=b @1+1']],
    ['knows a variable that holds one flag and its value', etcdDialect, [['--a', 'b']], ['a=b @1+1']],
    ['reads a value across an empty variable', etcdDialect, ['--a', [], 'b'], ['a=b @1+3']],
    [
      'shares a flag whose value begins another variable',
      etcdDialect,
      ['--a', ['b', '--c=d']],
      ['a=b @1+2 shared', 'c=d @2+1 shared'],
    ],
  ];
  for (const [name, dialect, words, expected] of rows) {
    it(name, () => assert.deepEqual(short(parse(dialect, ...words)), expected));
  }

  it('never gives a boolean the next word: anonymous-auth stays on', () => {
    for (const [dialect, flag] of [
      [apiserverDialect, 'anonymous-auth'],
      [kubeletDialect, 'anonymous-auth'],
      [etcdDialect, 'client-cert-auth'],
    ] as const) {
      assert.throws(() => parse(dialect, `--${flag}`, 'false'), /"false", which is no flag/);
      assert.equal(parse(dialect, `--${flag}=false`)[0]?.value, 'false');
    }
  });

  for (const word of ['etcd', '', '-', '--', '--=x', '-=x', '---a']) {
    it(`refuses the word "${word}"`, () => {
      assert.throws(() => parse(etcdDialect, '--a=b', word), NotUnderstood);
    });
  }
});

describe('flagValues', () => {
  const flags = flagValues(parse(apiserverDialect, '--a=1', '--b=x', '--a=2'));
  it('keeps repeated values in their order', () => assert.deepEqual(flags.get('a'), ['1', '2']));
  it('gives the last as the one that counts', () => {
    assert.equal(lastFlag(flags, 'a'), '2');
    assert.equal(lastFlag(flags, 'c'), undefined);
  });
});
