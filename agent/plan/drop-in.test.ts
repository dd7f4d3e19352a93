import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { renderDropIn } from './drop-in.ts';

describe('renderDropIn', () => {
  const rows: [what: string, words: string[], lines: string[]][] = [
    ['a value in the next word', ['--name', 'a', '--v=2'], ['--name a', '--v=2']],
    ['a flag after a switch', ['--leader-elect', '--v=2'], ['--leader-elect', '--v=2']],
    ['a flag in quotes after a switch', ['--leader-elect', '"--v=2"'], ['--leader-elect', '"--v=2"']],
    ['a flag in single quotes after a switch', ['--leader-elect', "'--v=2'"], ['--leader-elect', "'--v=2'"]],
    ['a value in quotes', ['--name', '"a b"'], ['--name "a b"']],
  ];
  for (const [what, words, lines] of rows) {
    it(`writes a flag a line: ${what}`, () => {
      const text = renderDropIn({ command: ['/usr/bin/x', ...words] });
      assert.equal(text.split('ExecStart=/usr/bin/x \\\n    ')[1], `${lines.join(' \\\n    ')}\n`);
    });
  }
});
