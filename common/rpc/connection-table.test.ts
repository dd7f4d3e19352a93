import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConnectionTable } from './connection-table.ts';

const limits = { connections: 4, connectionsPerAddress: 2, halfOpen: 4, halfOpenPerAddress: 3 };

/** Names are "ADDRESS NUMBER". */
const keyOf = (name: string) => name.split(' ')[0] ?? '';

function tableWith(more: { halfOpen?: string[]; open?: string[] }): ConnectionTable<string> {
  const table = new ConnectionTable<string>(limits);
  for (const name of more.open ?? []) {
    assert.deepEqual(table.arrive(name, keyOf(name)), []);
    assert.deepEqual(table.open(name, keyOf(name)), []);
  }
  for (const name of more.halfOpen ?? []) assert.deepEqual(table.arrive(name, keyOf(name)), []);
  return table;
}

describe('ConnectionTable', () => {
  it('refuses a connection at once whose address has all its places', () => {
    const table = tableWith({ open: ['a 1', 'a 2'] });
    assert.deepEqual(table.arrive('a 3', 'a'), ['a 3']);
    assert.deepEqual(table.arrive('b 1', 'b'), []);
    assert.deepEqual(table.counts, { halfOpen: 1, open: 2 });
  });

  it('refuses after the handshake where the places went to others meanwhile', () => {
    const table = tableWith({ halfOpen: ['a 1', 'a 2', 'a 3'] });
    assert.deepEqual(table.open('a 1', 'a'), []);
    assert.deepEqual(table.open('a 2', 'a'), []);
    assert.deepEqual(table.open('a 3', 'a'), ['a 3']);
  });

  it('gives a place back when a connection leaves, open or half-open', () => {
    const table = tableWith({ open: ['a 1', 'a 2'], halfOpen: ['b 1'] });
    table.leave('a 1');
    table.leave('b 1');
    table.leave('b 1');
    assert.deepEqual(table.counts, { halfOpen: 0, open: 1 });
    assert.deepEqual(table.arrive('a 3', 'a'), []);
    assert.deepEqual(table.open('a 3', 'a'), []);
  });

  it('lets the oldest half-open connection of an address give way to its newest', () => {
    const table = tableWith({ halfOpen: ['a 1', 'a 2', 'a 3'] });
    assert.deepEqual(table.arrive('a 4', 'a'), ['a 1']);
  });

  it('lets the address with most half-open connections give way to a new one', () => {
    const table = tableWith({ halfOpen: ['b 1', 'a 1', 'a 2', 'a 3'] });
    assert.deepEqual(table.arrive('c 1', 'c'), ['a 1']);
  });

  it('never closes an open connection for half-open ones', () => {
    const table = tableWith({ open: ['b 1'] });
    for (let index = 0; index < 20; index++) {
      for (const closed of table.arrive(`a ${index}`, 'a')) {
        assert.equal(keyOf(closed), 'a');
        table.leave(closed);
      }
    }
    assert.deepEqual(table.counts, { halfOpen: 3, open: 1 });
  });

  it('lets the address with most connections give way where all places are taken', () => {
    const table = new ConnectionTable<string>({ ...limits, connectionsPerAddress: 3 });
    for (const name of ['b 1', 'a 1', 'a 2', 'a 3']) assert.deepEqual(table.open(name, keyOf(name)), []);
    assert.deepEqual(table.open('c 1', 'c'), ['a 1']);
  });

  it('refuses where all places are taken by addresses with no more than its own', () => {
    const table = tableWith({ open: ['a 1', 'b 1', 'c 1', 'd 1'] });
    assert.deepEqual(table.open('e 1', 'e'), ['e 1']);
    assert.deepEqual(table.open('a 2', 'a'), ['a 2']);
    assert.deepEqual(table.counts, { halfOpen: 0, open: 4 });
  });
});
