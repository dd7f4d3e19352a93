import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { by, onRotation, power } from './rotation-for-tests.ts';

const { fixture, newPin, oldPin, start, complete } = onRotation();

describe('a crash', () => {
  it('before the record leaves everything as it was, and the next start takes its files away', async () => {
    const before = await fixture().caFiles();
    const dying = fixture().withDeps({ store: { ...fixture().store, putRotation: power } });
    await assert.rejects(dying.start({ authorities: ['kubernetes', 'etcd'], automatic: false }, by), /power/);
    writeFileSync(join(fixture().stateFolder, 'ca', 'kubernetes-0123456789abcdef.key'), 'half of a start');
    assert.equal((await fixture().caFiles()).length, before.length + 5);
    await fixture().restart();
    assert.equal(newPin(), oldPin());
    assert.equal(fixture().authorities.all('kubernetes').length, 1);
    assert.equal(fixture().authorities.signerFor('kubernetes', 'kubelet-client').certificate.publicKeyPin, oldPin());

    await start(false, ['kubernetes', 'etcd']);
    assert.equal((await fixture().caFiles()).length, before.length + 4);
    await fixture().restart();
    assert.equal(fixture().authorities.phase('etcd'), 'trust');
    assert.notEqual(newPin(), oldPin());
  });

  it('between two CAs is no different', async () => {
    const dying = fixture().withDeps({
      authorities: {
        ...fixture().authorities,
        make: (authority, nowMs) => (authority === 'etcd' ? power() : fixture().authorities.make(authority, nowMs)),
      },
    });
    await assert.rejects(dying.start({ authorities: ['kubernetes', 'etcd'], automatic: false }, by), /power/);
    await fixture().restart();
    assert.equal(newPin(), oldPin());
    await start(false, ['kubernetes', 'etcd']);
    assert.equal((await fixture().caFiles()).length, 4 * 2 + 2 * 2);
  });

  it('right after the record is a start that counts', async () => {
    const { putRotation } = fixture().store;
    const dying = fixture().withDeps({
      store: { ...fixture().store, putRotation: (...step) => putRotation(...step).then(power) },
    });
    await assert.rejects(dying.start({ authorities: ['kubernetes'], automatic: false }, by), /power/);
    assert.equal(newPin(), oldPin());
    await fixture().restart();
    assert.equal(fixture().authorities.phase('kubernetes'), 'trust');
    assert.notEqual(newPin(), oldPin());
    assert.equal(fixture().rotation.generation(), 1n);
    complete('trust');
    await fixture().rotation.advance('trust', by);
  });

  it('between the end and the removal of the keys has them removed at the next start', async () => {
    await start();
    for (const phase of ['trust', 'reissue'] as const) {
      complete(phase);
      await fixture().rotation.advance(phase, by);
    }
    complete('drop');
    const dying = fixture().withDeps({ authorities: { ...fixture().authorities, forgetRetiredKeys: power } });
    await assert.rejects(dying.advance('drop', by), /power/);
    assert.ok((await fixture().caFiles()).includes('kubernetes.key'));
    await fixture().restart();
    assert.ok(!(await fixture().caFiles()).includes('kubernetes.key'));
    assert.equal(fixture().authorities.phase('kubernetes'), 'settled');
  });

  it('while the agents are told of the end leaves no old key behind', async () => {
    await start();
    for (const phase of ['trust', 'reissue'] as const) {
      complete(phase);
      await fixture().rotation.advance(phase, by);
    }
    complete('drop');
    await assert.rejects(fixture().withDeps({ pushSettings: power }).advance('drop', by), /power/);
    assert.ok(!(await fixture().caFiles()).includes('kubernetes.key'));
  });
});
