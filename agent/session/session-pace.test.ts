/** When a session beats, and when it comes back. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import { AppError } from '../../common/errors/app-error.ts';
import { begin, settingsMessage } from './session-for-tests.ts';

describe('Session', () => {
  it('beats at the interval, renewing the permit, and at another one as soon as it is told', async (test) => {
    const { clock, state, stream, settle, greet } = begin(test);
    await greet();
    state.permitId = 'p1';
    await clock.advance(30_000);
    const beats = stream().of('heartbeat');
    assert.deepEqual(
      beats.map(({ value }) => value.permitId),
      ['p1', 'p1', 'p1'],
    );
    const [first] = beats;
    assert.equal(first?.value.nodeTime && timestampMs(first.value.nodeTime), Date.UTC(2026, 0, 1) + 10_000);
    // there and back: never two at once
    for (const heartbeatMs of [5_000, 10_000, 5_000]) {
      stream().say({ case: 'settings', value: settingsMessage({ heartbeatMs }) });
      await settle();
    }
    assert.equal(clock.sleeping, 1);
    await clock.advance(10_000);
    assert.equal(stream().of('heartbeat').length, 5);
  });

  for (const [said, meant] of [
    [0, 1_000],
    [-5_000, 1_000],
    [2 ** 40, 60_000],
  ] as const) {
    it(`takes a heartbeat interval of ${said} ms for ${meant}`, async (test) => {
      const { clock, stream, greet } = begin(test);
      await greet({ heartbeatMs: said });
      await clock.advance(meant - 1);
      assert.equal(stream().of('heartbeat').length, 0);
      await clock.advance(1);
      assert.equal(stream().of('heartbeat').length, 1);
    });
  }

  it('stops beating on a broken stream, and beats on the next', async (test) => {
    const { clock, streams, stream, greet } = begin(test);
    await greet();
    stream().fail(new AppError('unavailable', 'broken'));
    await clock.advance(1_000);
    await greet();
    assert.equal(streams.length, 2);
    assert.equal(clock.sleeping, 1);
    await clock.advance(10_000);
    assert.deepEqual([stream(0).of('heartbeat').length, stream(1).of('heartbeat').length], [0, 1]);
  });

  it('comes back ever more slowly while nobody answers, and says so', async (test) => {
    const { clock, streams, session, stream, settle } = begin(test);
    const gaps: number[] = [];
    for (let turn = 0; turn < 8; turn++) {
      await settle();
      stream().fail(new AppError('unavailable', 'the server cannot be reached: ECONNREFUSED'));
      const fromMs = clock.nowMs();
      const known = streams.length;
      while (streams.length === known) await clock.advance(100);
      gaps.push(clock.nowMs() - fromMs);
    }
    assert.match(session.state.problem, /ECONNREFUSED/);
    assert.deepEqual([session.state.connected, session.state.attempts], [false, 8]);
    gaps.forEach((gap, turn) => {
      const full = Math.min(60_000, 1_000 * 2 ** turn);
      assert.ok(gap >= full / 2 && gap <= full + 100, `${gap} ms at turn ${turn}`);
    });
  });

  it('comes back soon while it holds a permit, and tells of it at once', async (test) => {
    const { clock, streams, state, stream, settle, greet } = begin(test);
    state.permitId = 'p1';
    for (let turn = 0; turn < 8; turn++) {
      await settle();
      stream().fail(new AppError('unavailable', 'the server cannot be reached: ECONNREFUSED'));
      const known = streams.length;
      await clock.advance(5_000);
      assert.equal(streams.length, known + 1, `turn ${turn}`);
    }
    await greet();
    assert.deepEqual(
      stream()
        .of('heartbeat')
        .map(({ value }) => value.permitId),
      ['p1'],
    );
    assert.deepEqual(
      stream()
        .said.map(({ case: kind }) => kind)
        .filter((kind) => kind === 'hello' || kind === 'heartbeat'),
      ['hello', 'heartbeat'],
    );
  });

  for (const [lifeMs, slower, stepMs] of [
    [0, true, 0],
    [120_000, false, 0],
    [0, true, 3_600_000],
    [120_000, false, -3_600_000],
  ] as const) {
    it(`after sessions of ${lifeMs} ms it comes back ${slower ? 'ever more slowly' : 'at once'}, the wall clock set by ${stepMs} ms`, async (test) => {
      const { clock, streams, stream, greet } = begin(test);
      let gapMs = 0;
      for (let turn = 0; turn < 6; turn++) {
        await greet();
        await clock.advance(lifeMs);
        clock.step(stepMs);
        stream().end();
        const fromMs = clock.nowMs();
        const known = streams.length;
        while (streams.length === known) await clock.advance(100);
        gapMs = clock.nowMs() - fromMs;
      }
      assert.ok(slower ? gapMs >= 16_000 : gapMs <= 1_100, `${gapMs} ms`);
    });
  }
});
