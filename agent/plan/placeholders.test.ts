import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CHANGE_ID, describePlaceholders, embedded, fillPlaceholders, hasPlaceholders } from './placeholders.ts';

const text = `id: "${CHANGE_ID}"\nkey: "${embedded('admin.key')}"\nca: ${embedded('apiserver-ca.crt')}\n`;

describe('placeholders', () => {
  it('are filled with the change and the files in base64', () => {
    const files = new Map([
      ['admin.key', 'k'],
      ['apiserver-ca.crt', 'c'],
    ]);
    assert.equal(fillPlaceholders(text, 'c-1', files), 'id: "c-1"\nkey: "aw=="\nca: Yw==\n');
    assert.deepEqual([hasPlaceholders(text), hasPlaceholders('id: x@y')], [true, false]);
  });

  it('are not filled with what the version does not hold', () => {
    assert.throws(() => fillPlaceholders(text, 'c-1', new Map()), { reason: 'internal', message: /admin\.key/ });
  });

  it('are described for a person', () => {
    assert.equal(
      describePlaceholders(`${text}crt: ${embedded('admin.crt')}\n`, 'c-1'),
      'id: "c-1"\nkey: <new key, embedded>\nca: <new roots, embedded>\ncrt: <new certificate, embedded>\n',
    );
  });
});
