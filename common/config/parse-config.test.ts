import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { AppError } from '../errors/app-error.ts';
import { duration } from './duration.ts';
import { parseConfig } from './parse-config.ts';

const schema = z.strictObject({
  level: z.enum(['info', 'debug']).default('info'),
  peers: z
    .strictObject({ watch: duration('1s', '1m').default(15_000), names: z.array(z.string()).default([]) })
    .optional(),
});

describe('parseConfig', () => {
  it('takes defaults from the schema, also for an empty file', () => {
    for (const text of ['', '# nothing\n', '{}'])
      assert.deepEqual(parseConfig(schema, text, 'x.yaml'), { level: 'info' });
  });

  it('reads values', () => {
    const text = 'level: debug\npeers:\n  watch: 30s # long\n  names: [a, b]\n';
    assert.deepEqual(parseConfig(schema, text, 'x.yaml'), {
      level: 'debug',
      peers: { watch: 30_000, names: ['a', 'b'] },
    });
  });

  const refused: [what: string, text: string, message: RegExp][] = [
    ['an unknown key', 'level: info\nlevle: debug\n', /^x\.yaml:2: unknown field levle/],
    ['an unknown key further in', 'peers:\n  watch: 5s\n\n  wacth: 5s\n', /^x\.yaml:4: unknown field peers\.wacth/],
    ['a wrong word', 'level: loud\n', /^x\.yaml:1: level: .*"info"\|"debug"/],
    [
      'a wrong value in a list',
      'peers:\n  names:\n    - a\n    - 5\n',
      /^x\.yaml:4: peers\.names\.1: .*expected string/,
    ],
    ['a duration without unit', 'level: info\npeers: {watch: "5"}\n', /^x\.yaml:2: peers\.watch: .*with a unit/],
    ['a number for a duration', 'peers: {watch: 5}\n', /^x\.yaml:1: peers\.watch: .*expected string/],
    ['a key twice', 'level: info\nlevel: debug\n', /^x\.yaml:2: map keys must be unique/],
    ['a list for the whole', '- level\n', /^x\.yaml:1: the file: .*expected object/],
    ['text that is no YAML', 'level: [\n', /^x\.yaml:2: /],
    ['two faults, both named', 'a: 1\nb: 2\n', /^x\.yaml:1: unknown field a.*; x\.yaml:2: unknown field b/],
    ['aliases that explode', bomb(), /aliases/],
  ];
  for (const [what, text, message] of refused) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => parseConfig(schema, text, 'x.yaml'),
        (error) => error instanceof AppError && error.reason === 'invalid-request' && message.test(error.message),
      );
    });
  }
});

function bomb(): string {
  const level = (n: number) => `l${n}: &l${n} [${Array.from({ length: 9 }, () => `*l${n - 1}`).join(', ')}]\n`;
  return `l0: &l0 [x]\n${[1, 2, 3, 4, 5, 6].map(level).join('')}`;
}
