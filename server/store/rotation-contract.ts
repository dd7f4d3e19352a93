/** What every engine of the store must do with the change of roots; part of the contract. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { EventDraft, RotationRecord, Store } from './store.ts';

/**
 * Registers the tests.
 *
 * @param store the open store
 * @param reopen closes the store and opens it again
 * @param sampleEvent an event with some fields changed
 */
export function rotationContract(
  store: () => Store,
  reopen: () => Promise<void>,
  sampleEvent: (fields?: Partial<EventDraft>) => EventDraft,
): void {
  const started: RotationRecord = {
    generation: 1,
    phase: 'trust',
    phaseStartedAtMs: 5000,
    automatic: true,
    authorities: ['etcd', 'kubernetes'],
    lines: [
      { authority: 'etcd', current: 'sha256:e2', old: ['sha256:e1'], oldSigner: 'sha256:e1', retired: [] },
      { authority: 'kubernetes', current: 'sha256:k2', old: ['sha256:k1', 'sha256:k0'], oldSigner: '', retired: ['x'] },
    ],
  };
  const settled: RotationRecord = { ...started, generation: 2, phase: 'settled', automatic: false, authorities: [] };
  const kinds = async () => (await store().listEvents({}, { size: 9, after: undefined })).rows.map((row) => row.kind);

  it('begins settled, and keeps a change of roots with its event over a restart', async () => {
    const first = await store().getRotation();
    assert.deepEqual(first, {
      generation: 0,
      phase: 'settled',
      phaseStartedAtMs: 0,
      automatic: false,
      authorities: [],
      lines: [],
    });
    await store().putRotation(started, [sampleEvent({ kind: 'authority.rotation-started' })]);
    await reopen();
    assert.deepEqual(await store().getRotation(), started);
    assert.deepEqual(await kinds(), ['authority.rotation-started']);
    const [line] = started.lines;
    assert.ok(line);
    const shorter = { ...settled, lines: [{ ...line, old: [], oldSigner: '', retired: line.old }] };
    await store().putRotation(shorter, []);
    await reopen();
    assert.deepEqual(await store().getRotation(), shorter);
  });

  it('takes only the step after the one on record, and its event with it', async () => {
    const event = sampleEvent({ kind: 'authority.phase' });
    await assert.rejects(store().putRotation(settled, [event]), reason('conflict'));
    await store().putRotation(started, []);
    await assert.rejects(store().putRotation({ ...started, automatic: false }, [event]), reason('conflict'));
    assert.deepEqual(await store().getRotation(), started);
    assert.deepEqual(await kinds(), []);
  });
}

function reason(expected: Reason): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === expected;
}
