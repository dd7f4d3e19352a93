import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RequestMeter } from './request-meter.ts';

/** A message as it travels; the bytes are of a read of their own. */
function framed(length: number): Uint8Array {
  const bytes = new Uint8Array(5 + length);
  new DataView(bytes.buffer).setUint32(1, length);
  return bytes;
}

/** The same bytes as so many reads. */
function inPieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
  return pieces;
}

describe('RequestMeter', () => {
  it('knows when a message is complete, however it is cut', () => {
    for (const size of [1, 2, 3, 5, 7, 100, 1000]) {
      const meter = new RequestMeter(1000);
      for (const piece of inPieces(framed(90), size)) assert.equal(meter.add(piece), undefined);
      assert.deepEqual([meter.messages, meter.unfinished, meter.heldBytes], [1, false, 0], `in pieces of ${size}`);
    }
  });

  it('counts messages that come together, empty ones too', () => {
    const meter = new RequestMeter(10);
    const together = Buffer.concat([framed(0), framed(10), framed(3), framed(4).slice(0, 6)]);
    assert.equal(meter.add(new Uint8Array(together)), undefined);
    assert.deepEqual([meter.messages, meter.unfinished], [3, true]);
  });

  it('refuses a message above the limit by its length alone', () => {
    const meter = new RequestMeter(1000);
    assert.equal(meter.add(framed(1000)), undefined);
    assert.match(meter.add(framed(1001).slice(0, 5)) ?? '', /a message of 1001 bytes: 1000 are the most/);
  });

  it('counts what a piece was cut from, once where pieces share it', () => {
    const meter = new RequestMeter(100_000);
    const read = framed(16_379);
    meter.add(read.subarray(0, 10));
    const first = meter.heldBytes;
    assert.ok(first >= 16_384, `${first}`);
    meter.add(read.subarray(10, 20));
    assert.ok(meter.heldBytes - first < 1000, `${meter.heldBytes}`);
  });

  it('refuses a message whose pieces hold far more than its bytes', () => {
    const meter = new RequestMeter(32 * 1024);
    const pieces = inPieces(framed(32 * 1024), 1);
    const refused = pieces.findIndex((piece) => meter.add(piece) !== undefined);
    assert.ok(refused > 0 && refused < 2000, `refused with the piece ${refused} of ${pieces.length}`);
  });

  it('takes the greatest message of a sender who fills no read: packets of 1400 bytes, each with a byte of the next', () => {
    const meter = new RequestMeter(1024 * 1024);
    for (const piece of inPieces(framed(1024 * 1024), 1400)) assert.equal(meter.add(piece), undefined);
    assert.equal(meter.messages, 1);
  });
});
