import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatTable, printable } from './table.ts';

describe('formatTable', () => {
  it('aligns columns and leaves no blanks at the end of a line', () => {
    assert.equal(
      formatTable(
        ['A', 'LONG', 'C'],
        [
          ['xx', 'y', ''],
          ['', 'z', 'w'],
        ],
      ),
      'A   LONG  C\nxx  y\n    z     w\n',
    );
  });

  it('lets no node write to the terminal', () => {
    assert.equal(formatTable(['A'], [['\u001b[2Jgone\r\nnew line\u202e']]), 'A\n [2Jgone new line\n');
    assert.equal(printable('tab\tbell\u0007'), 'tab bell ');
  });
});
