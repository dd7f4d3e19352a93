/** What every engine of the store must do with the inventory of certificates; part of the contract. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { CertificateIntent, EventDraft, Store } from './store.ts';

/**
 * Registers the tests.
 *
 * @param store the open store
 * @param reopen closes the store and opens it again
 * @param sampleIntent an intent with some fields changed
 * @param sampleEvent an event with some fields changed
 */
export function certificateContract(
  store: () => Store,
  reopen: () => Promise<void>,
  sampleIntent: (fields?: Partial<CertificateIntent>) => CertificateIntent,
  sampleEvent: (fields?: Partial<EventDraft>) => EventDraft,
): void {
  const page = { size: 100, after: undefined };

  it('records an intent first and the signature after, over a restart', async () => {
    await store().recordIntents([sampleIntent(), sampleIntent({ serial: '2', publicKeyPin: 'sha256:02' })]);
    const intended = await store().getCertificate('kubernetes', '5e71a1');
    assert.equal(intended?.state, 'intended');
    await reopen();
    await store().recordIssued([{ authority: 'kubernetes', serial: '5e71a1', sha256: 'ab', pem: 'PEM' }]);
    assert.deepEqual(await store().getCertificate('kubernetes', '5e71a1'), {
      ...sampleIntent(),
      sequence: intended?.sequence,
      state: 'issued',
      sha256: 'ab',
      pem: 'PEM',
    });
    assert.equal((await store().getCertificate('kubernetes', '2'))?.state, 'intended');
    assert.equal(await store().getCertificate('etcd', '5e71a1'), undefined);
  });

  it('takes a serial once per authority, and all of a batch or nothing', async () => {
    await store().recordIntents([sampleIntent()]);
    await store().recordIntents([sampleIntent({ authority: 'etcd' })]);
    const batch = [sampleIntent({ serial: '77' }), sampleIntent()];
    await assert.rejects(store().recordIntents(batch), reason('conflict'));
    assert.equal(await store().getCertificate('kubernetes', '77'), undefined);
    const twins = [sampleIntent({ serial: '88' }), sampleIntent({ serial: '88' })];
    await assert.rejects(store().recordIntents(twins), reason('conflict'));
    assert.equal(await store().getCertificate('kubernetes', '88'), undefined);
  });

  it('gives a key to one holder only', async () => {
    assert.equal(await store().holderOfKey('sha256:01'), undefined);
    await store().recordIntents([sampleIntent()]);
    assert.equal(await store().holderOfKey('sha256:01'), 'w1');
    await store().recordIntents([sampleIntent({ serial: '2' })]);
    const stolen = sampleIntent({ serial: '3', holder: 'w2', authority: 'etcd' });
    await assert.rejects(store().recordIntents([stolen]), reason('conflict'));
    const shared = [sampleIntent({ serial: '4', publicKeyPin: 'sha256:04' })];
    shared.push(sampleIntent({ serial: '5', publicKeyPin: 'sha256:04', holder: 'w2' }));
    await assert.rejects(store().recordIntents(shared), reason('conflict'));
  });

  it('refuses a signature without intent or for one that was signed, and records none of its batch', async () => {
    await store().recordIntents([sampleIntent()]);
    const known = { authority: 'kubernetes', serial: '5e71a1', sha256: 'ab', pem: 'PEM' } as const;
    await assert.rejects(store().recordIssued([known, { ...known, serial: '99' }]), reason('conflict'));
    assert.equal((await store().getCertificate('kubernetes', '5e71a1'))?.state, 'intended');
    await store().recordIssued([known]);
    await assert.rejects(store().recordIssued([{ ...known, pem: 'OTHER' }]), reason('conflict'));
    assert.equal((await store().getCertificate('kubernetes', '5e71a1'))?.pem, 'PEM');
  });

  it('records a batch and its audit together, or neither', async () => {
    const kinds = async () => (await store().listEvents({}, page)).rows.map((event) => event.kind);
    const [intended, issued] = [sampleEvent({ kind: 'certificate.intended' }), sampleEvent()];
    await store().recordIntents([sampleIntent()], [intended, intended]);
    assert.deepEqual(await kinds(), ['certificate.intended', 'certificate.intended']);
    await assert.rejects(store().recordIntents([sampleIntent()], [intended]), reason('conflict'));
    const signed = { authority: 'kubernetes', serial: '5e71a1', sha256: 'ab', pem: 'PEM' } as const;
    await assert.rejects(store().recordIssued([{ ...signed, serial: '99' }], [issued]), reason('conflict'));
    assert.equal((await kinds()).length, 2);
    await store().recordIssued([signed], [issued]);
    assert.deepEqual(await kinds(), ['certificate.issued', 'certificate.intended', 'certificate.intended']);
  });

  it('lists certificates newest first by holder, profile and end', async () => {
    await store().recordIntents([
      sampleIntent({ serial: '1', notAfterMs: 100 }),
      sampleIntent({ serial: '2', notAfterMs: 200, profile: 'kubelet-client', publicKeyPin: 'sha256:02' }),
      sampleIntent({ serial: '3', notAfterMs: 300, holder: 'cp1', publicKeyPin: 'sha256:03' }),
      sampleIntent({ serial: '4', notAfterMs: 400, authority: 'fleet', profile: undefined }),
    ]);
    const rows: [filter: Parameters<Store['listCertificates']>[0], serials: string[]][] = [
      [{}, ['4', '3', '2', '1']],
      [{ holder: 'w1' }, ['4', '2', '1']],
      [{ profile: 'kubelet-serving' }, ['3', '1']],
      [{ expiringBeforeMs: 300 }, ['2', '1']],
      [{ holder: 'w1', profile: 'kubelet-client', expiringBeforeMs: 300 }, ['2']],
      [{ holder: 'w' }, []],
    ];
    for (const [filter, serials] of rows) {
      const found = await store().listCertificates(filter, { size: 100, after: undefined });
      assert.deepEqual(
        found.rows.map((row) => row.serial),
        serials,
      );
      assert.equal(found.next, undefined);
    }
    const first = await store().listCertificates({ holder: 'w1' }, { size: 2, after: undefined });
    const second = await store().listCertificates({ holder: 'w1' }, { size: 2, after: first.next });
    assert.deepEqual(
      [...first.rows, ...second.rows].map((row) => row.serial),
      ['4', '2', '1'],
    );
    assert.equal(first.rows[0]?.profile, undefined);
  });
}

function reason(expected: Reason): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === expected;
}
