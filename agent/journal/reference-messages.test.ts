import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { z } from 'zod';
import { components } from '../../common/names/names.ts';
import { classify } from './classify.ts';

/** A line for each row of reference/journal-messages.md, in each frame in which its component writes it. */
const FILE = new URL('./fixtures/reference-messages.jsonl', import.meta.url);

const expected = {
  /** The row of the reference. */
  row: z.string(),
  component: z.enum(components.all),
  line: z.string(),
  /** Written by systemd. */
  systemd: z.literal(true).optional(),
};
const rowSchema = z.discriminatedUnion('role', [
  z.strictObject({
    ...expected,
    role: z.literal('failure'),
    cause: z.string(),
    fault: z.string(),
    side: z.string(),
    fatal: z.literal(true).optional(),
  }),
  z.strictObject({ ...expected, role: z.literal('success'), sign: z.string() }),
  z.strictObject({ ...expected, role: z.enum(['noise', 'nothing']) }),
]);

const rows = readFileSync(FILE, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => rowSchema.parse(JSON.parse(line)));
const byRow = Map.groupBy(rows, ({ row }) => row);

describe('messages of the reference', () => {
  for (const [row, cases] of byRow) {
    it(`${row} (${cases.length})`, () => {
      for (const one of cases) {
        const { component, line, systemd = false } = one;
        const finding = classify(component, { message: line, fromSystemd: systemd });
        const where = `${component}: ${line}`;
        assert.equal(finding?.role ?? 'nothing', one.role, where);
        if (one.role === 'success') assert.equal(finding?.sign, one.sign, where);
        if (one.role !== 'failure') continue;
        const { cause, fault, side, fatal = false } = one;
        const said = finding && [finding.cause, finding.fault, finding.side, finding.fatal];
        assert.deepEqual(said, [cause, fault, side, fatal], where);
        assert.notEqual(finding?.explanation, '', where);
      }
    });
  }

  it('are said by every program', () => {
    const programs = components.all.filter((each) => each !== 'admin');
    assert.deepEqual(new Set(rows.map(({ component }) => component)), new Set(programs));
  });
});
