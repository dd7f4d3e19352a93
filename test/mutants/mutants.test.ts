import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { mutated } from './mutant.ts';
import { mutants } from './mutants.ts';
import { CHECKOUT } from './scratch-copy.ts';

describe('mutated', () => {
  it('replaces the text that stands there once, as it is', () => {
    assert.equal(mutated('a || b', { find: '||', replace: "$& && '$1'" }), "a $& && '$1' b");
    assert.equal(mutated('a;\nb;', { find: 'a;\n', replace: '' }), 'b;');
  });

  it('changes nothing where the text is missing, or stands there twice, one over the other too', () => {
    for (const text of ['', 'a', 'xx xx', 'xxx']) assert.equal(mutated(text, { find: 'xx', replace: 'y' }), undefined);
  });
});

describe('the list of mutants', () => {
  it('names each once', () => {
    assert.equal(new Set(mutants.map(({ id }) => id)).size, mutants.length);
  });

  for (const mutant of mutants) {
    it(`changes something with ${mutant.id}, and knows tests for it`, () => {
      const text = readFileSync(join(CHECKOUT, mutant.file), 'utf8');
      const changed = mutated(text, mutant);
      assert.ok(changed !== undefined, `this does not stand in ${mutant.file} exactly once: ${mutant.find}`);
      assert.notEqual(changed, text);
      for (const glob of mutant.tests) assert.ok(globSync(glob, { cwd: CHECKOUT }).length > 0, `no test file: ${glob}`);
    });
  }
});
