import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { foreignYamlValue, parseForeignYaml } from './parse-yaml.ts';

describe('YAML of others', () => {
  it('says what it says', () => {
    assert.deepEqual(foreignYamlValue('a: [1, {b: c}]\nd: |\n  text\n'), { a: [1, { b: 'c' }], d: 'text\n' });
    assert.deepEqual(foreignYamlValue(JSON.stringify({ a: { '0': ['x'] } })), { a: { '0': ['x'] } });
  });

  it('may be a kubeconfig of 150 clusters', () => {
    const data = 'A'.repeat(2000);
    const clusters = Array.from(
      { length: 150 },
      (_, n) =>
        `- cluster:\n    certificate-authority-data: ${data}\n    server: https://10.0.0.${n}:6443\n  name: c${n}\n- context:\n    cluster: c${n}\n    user: u${n}\n  name: x${n}\n- name: u${n}\n  user:\n    client-certificate-data: ${data}\n`,
    );
    assert.ok(Array.isArray(foreignYamlValue(clusters.join(''))));
  });

  const many = (length: number, each: (n: number) => string) => Array.from({ length }, (_, n) => each(n));
  const bombs: [what: string, text: string, message: RegExp][] = [
    ['a mapping of 100,000 keys', many(100_000, (n) => `k${n}: v`).join('\n'), /more than 10000/],
    ['a mapping of 100,000 keys in a line', `{${many(100_000, (n) => `k${n}`).join(',')}}`, /more than 10000/],
    ['100,000 anchors at a value', `${'&a '.repeat(100_000)}x: y`, /more than 10000/],
    ['keys in keys', '? '.repeat(300), /no single value/],
    ['mappings as keys', `${'{'.repeat(30)}a${'}: b'.repeat(30)}`, /no single value/],
    ['100,000 quotes', '"'.repeat(100_000), /more than 10000/],
    ['lists in lists', '['.repeat(9000), /./],
    ['two megabytes', `a: ${'x '.repeat(1024 * 1024)}`, /longer than 1 MiB/],
    [
      'aliases of aliases',
      `a0: &a0 [x,x,x,x,x,x,x,x,x]\n${many(9, (n) => `a${n + 1}: &a${n + 1} [${`*a${n},`.repeat(9)}]\n`).join('')}`,
      /Excessive alias count/,
    ],
  ];
  for (const [what, text, message] of bombs) {
    it(`keeps nobody busy with ${what}`, () => {
      const started = performance.now();
      assert.throws(() => foreignYamlValue(text), { message });
      assert.ok(performance.now() - started < 20_000); // some took hours
    });
  }

  it('tells the line of what is wrong', () => {
    assert.equal(parseForeignYaml('a: b\nc: {d\n').errors[0]?.linePos?.[0].line, 3);
  });
});
