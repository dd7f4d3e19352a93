import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { by, onRotation, power, type ReportedRow, type RunningPhase, refused, reported } from './rotation-for-tests.ts';

const { fixture, newPin, oldPin, start, complete, kinds } = onRotation();

describe('a change of roots that is taken back', () => {
  const abort = (from: RunningPhase) => fixture().rotation.abort(from, by);
  /** What the kubelet of w1 trusts, and who signed its certificate. */
  const report = (trust: string[], issuer: string, row: ReportedRow = {}) => {
    fixture().components = [
      reported('w1', 'kubelet', { trust: { kubernetes: trust }, issuers: { 'kubelet-client': issuer }, ...row }),
    ];
  };
  const roots = () =>
    fixture()
      .authorities.roots('kubernetes')
      .map(({ publicKeyPin }) => publicKeyPin);

  it('gives the new CA up in trust: the old one signs, nodes drop the new one, its key goes, and another change can begin', async () => {
    await start();
    const given = newPin();
    report([oldPin()], oldPin());
    const { record, waitingFor } = await abort('trust');
    assert.deepEqual([record.phase, record.automatic, waitingFor], ['drop', true, []]);
    assert.deepEqual([roots(), fixture().authorities.issuingPin('kubernetes')], [[oldPin()], oldPin()]);
    assert.ok(fixture().authorities.retiredPem('kubernetes').includes('BEGIN CERTIFICATE'));
    report([given, oldPin()], oldPin());
    assert.deepEqual((await fixture().rotation.show()).waitingFor, [
      'w1: kubelet trusts the retired kubernetes CA still',
    ]);
    await fixture().restart();
    report([oldPin()], oldPin());
    await fixture().rotation.check();
    assert.equal(fixture().authorities.phase('kubernetes'), 'settled');
    assert.deepEqual([newPin(), roots()], [oldPin(), [oldPin()]]);
    const keys = (await fixture().caFiles()).filter((name) => name.startsWith('kubernetes') && name.endsWith('.key'));
    assert.deepEqual(keys, ['kubernetes.key']);
    assert.deepEqual(await kinds(), [
      'authority.rotation-started admin/root',
      'authority.rotation-aborted admin/root',
      'authority.rotation-ended server',
    ]);
    assert.equal((await start()).record.phase, 'trust');
    assert.notEqual(newPin(), given);
  });

  it('goes from reissue back to trust, where the old CA signs, and on from there in either direction', async () => {
    await start();
    complete('trust');
    await fixture().rotation.advance('trust', by);
    const { record } = await abort('reissue');
    assert.deepEqual([record.phase, record.automatic], ['trust', false]);
    assert.deepEqual([roots(), fixture().authorities.issuingPin('kubernetes')], [[newPin(), oldPin()], oldPin()]);
    complete('trust');
    assert.equal((await fixture().rotation.advance('trust', by)).record.phase, 'reissue');
    await abort('reissue');
    assert.equal((await abort('trust')).record.phase, 'drop');
  });

  const held: [what: string, issuer: () => string, row: ReportedRow, sentence: RegExp][] = [
    ['a certificate of it is in use', newPin, {}, /w1: kubelet-client comes from the new kubernetes CA$/],
    [
      'one may be shown still',
      () => oldPin(),
      { liveAgoMs: 300_000 },
      /w1: kubelet may show the old certificate .* 30 s more$/,
    ],
    ['a component is being changed', () => oldPin(), { state: 'verifying' }, /w1: kubelet is being changed/],
  ];
  for (const [what, issuer, row, sentence] of held) {
    it(`does not give the new CA up after reissue while ${what}`, async () => {
      await start();
      complete('trust');
      await fixture().rotation.advance('trust', by);
      await abort('reissue');
      report([newPin(), oldPin()], issuer(), row);
      await assert.rejects(abort('trust'), refused('conflict', sentence));
      assert.equal(fixture().authorities.phase('kubernetes'), 'trust');
    });
  }

  it('gives it up at once in the first phase, whatever is being changed: nothing but probes came from the new CA yet', async () => {
    await start();
    report([oldPin()], oldPin(), { state: 'verifying' });
    assert.equal((await abort('trust')).record.phase, 'drop');
  });

  it('does not count what agents alone use', async () => {
    await start();
    complete('trust');
    await fixture().rotation.advance('trust', by);
    await abort('reissue');
    const issuers = { 'kubelet-client': oldPin(), 'probe-client': newPin() };
    fixture().components = [reported('w1', 'kubelet', { trust: { kubernetes: [newPin(), oldPin()] }, issuers })];
    assert.equal((await abort('trust')).record.phase, 'drop');
  });

  it('is refused where it is too late, where the caller takes it for another phase, and where none is under way', async () => {
    await assert.rejects(abort('trust'), refused('conflict', /no change of roots is under way/));
    await start();
    await assert.rejects(abort('reissue'), refused('conflict', /the phase is trust, not reissue/));
    complete('trust');
    await fixture().rotation.advance('trust', by);
    complete('reissue');
    await fixture().rotation.advance('reissue', by);
    await assert.rejects(abort('drop'), refused('conflict', /trusted no more where the phase drop has come/));
  });

  it('is refused where the key of the old CA is not here', async () => {
    await start();
    const record = fixture().authorities.record();
    fixture().authorities.take({ ...record, lines: record.lines.map((line) => ({ ...line, oldSigner: '' })) });
    await assert.rejects(abort('trust'), refused('conflict', /the key of the old CA of kubernetes is not here/));
  });

  it('stays where it was when the server dies meanwhile', async () => {
    await start();
    report([oldPin()], oldPin());
    const failing = fixture().withDeps({ store: { ...fixture().store, putRotation: power } });
    await assert.rejects(failing.abort('trust', by), /the power went out/);
    await fixture().restart();
    assert.equal(fixture().authorities.phase('kubernetes'), 'trust');
    assert.equal((await abort('trust')).record.phase, 'drop');
  });
});
