import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BACKDATED_MS, lifeAtMs } from './life.ts';

const minute = 60_000;
const issuedMs = Date.UTC(2026, 0, 1);
const lives = (lifetimeMs: number) => ({
  notBefore: new Date(issuedMs - BACKDATED_MS),
  notAfter: new Date(issuedMs + lifetimeMs),
});

describe('lifeAtMs', () => {
  it('counts from the issue and not from notBefore', () => {
    assert.equal(lifeAtMs(lives(9 * minute), 2 / 3), issuedMs + 6 * minute);
    assert.equal(lifeAtMs(lives(300 * minute), 0), issuedMs);
    assert.equal(lifeAtMs(lives(300 * minute), 1), issuedMs + 300 * minute);
  });

  it('never goes beyond the end, however short the certificate', () => {
    const short = { notBefore: new Date(issuedMs), notAfter: new Date(issuedMs + minute) };
    assert.equal(lifeAtMs(short, 2 / 3), issuedMs + minute);
  });
});
