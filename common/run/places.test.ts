import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Places } from './places.ts';

describe('Places', () => {
  it('lets so many work at once, the others in their order, also after one that failed', async () => {
    const places = new Places(2, 2);
    const ends: PromiseWithResolvers<void>[] = [];
    const begun: string[] = [];
    const work = (name: string) =>
      places.run(async () => {
        begun.push(name);
        const end = Promise.withResolvers<void>();
        ends.push(end);
        await end.promise;
        return name;
      });
    const [a, b, c, d] = [work('a'), work('b'), work('c'), work('d')];
    assert.deepEqual(begun, ['a', 'b']);
    ends[1]?.reject(new Error('it broke'));
    await assert.rejects(b, { message: 'it broke' });
    assert.deepEqual(begun, ['a', 'b', 'c']);
    ends[0]?.resolve();
    assert.equal(await a, 'a');
    assert.deepEqual(begun, ['a', 'b', 'c', 'd']);
    for (const end of ends) end.resolve();
    assert.deepEqual(await Promise.all([c, d]), ['c', 'd']);
    const late = work('e');
    ends[4]?.resolve();
    assert.equal(await late, 'e');
  });

  it('refuses who would be one too many to wait', async () => {
    const places = new Places(1, 1);
    const end = Promise.withResolvers<void>();
    const first = places.run(() => end.promise);
    const second = places.run(() => end.promise);
    await assert.rejects(
      places.run(() => end.promise),
      { reason: 'rate-limited' },
    );
    end.resolve();
    await Promise.all([first, second]);
  });
});
