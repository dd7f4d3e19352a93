import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import { sampleNode } from '../store/store-contract.ts';
import { CHECK_MS, watchRotation } from './rotation.ts';
import { type RotationFixture, reported, rotationFixture } from './rotation-for-tests.ts';

const by = { actor: 'admin/root', source: '10.0.0.9' };
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);
const power = () => Promise.reject(new Error('the power went out'));

let fixture: RotationFixture;
let oldPin: string;
beforeEach(async () => {
  fixture = await rotationFixture();
  oldPin = fixture.authorities.certificate('kubernetes').publicKeyPin;
  await fixture.store.enrol({ node: sampleNode(), useToken: undefined });
  fixture.online.add('w1');
});
afterEach(() => fixture.remove());

const start = (automatic = false, authorities: ClusterAuthority[] = ['kubernetes']) =>
  fixture.rotation.start({ authorities, automatic }, by);
const newPin = () => fixture.authorities.certificate('kubernetes').publicKeyPin;
const kinds = async () =>
  (await fixture.store.listEvents({ kind: 'authority' }, { size: 99, after: undefined })).rows
    .map((event) => `${event.kind} ${event.actor}`)
    .reverse();
/** What the kubelet of w1 says once the phase is complete. */
const complete = (phase: 'trust' | 'reissue' | 'drop') => {
  const trust = { kubernetes: phase === 'drop' ? [newPin()] : [newPin(), oldPin] };
  const issuers = { 'kubelet-client': phase === 'trust' ? oldPin : newPin() };
  fixture.components = [
    reported('w1', 'kubelet', { state: phase === 'trust' ? 'pending' : 'verified', trust, issuers }),
  ];
};

describe('a change of roots', () => {
  it('goes through its phases, one after another, and tells agents and the audit of each', async () => {
    const { authorities, rotation } = fixture;
    assert.deepEqual((await rotation.show()).record.phase, 'settled');
    assert.equal(rotation.generation(), 0n);

    fixture.components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin] } })];
    const started = await start();
    assert.deepEqual(started.waitingFor, ['w1: kubelet does not trust the new kubernetes CA yet']);
    assert.notEqual(newPin(), oldPin);
    assert.deepEqual(
      authorities.roots('kubernetes').map((root) => root.publicKeyPin),
      [newPin(), oldPin],
    );
    assert.deepEqual([authorities.phase('kubernetes'), authorities.phase('etcd')], ['trust', 'settled']);
    assert.equal(authorities.issuingPin('kubernetes'), oldPin);
    assert.deepEqual([rotation.generation(), fixture.pushes], [1n, 1]);

    complete('trust');
    const reissue = await rotation.advance('trust', by);
    assert.equal(reissue.record.phase, 'reissue');
    assert.equal(authorities.issuingPin('kubernetes'), newPin());
    assert.equal(authorities.roots('kubernetes').length, 2);
    assert.deepEqual(reissue.waitingFor, [
      'w1: kubelet-client does not come from the new kubernetes CA yet',
      'w1: kubelet is pending',
    ]);

    complete('reissue');
    await rotation.advance('reissue', by);
    assert.equal(authorities.rootsPem('kubernetes'), authorities.certificate('kubernetes').pem);
    assert.equal(authorities.retiredPem('kubernetes'), authorities.all('kubernetes')[1]?.certificate.pem);
    assert.ok((await fixture.caFiles()).includes('kubernetes.key'));

    complete('drop');
    const settled = await rotation.advance('drop', by);
    assert.deepEqual([settled.record.phase, settled.record.authorities], ['settled', []]);
    assert.deepEqual([rotation.generation(), fixture.pushes], [4n, 4]);
    assert.deepEqual(await kinds(), [
      'authority.rotation-started admin/root',
      'authority.phase admin/root',
      'authority.phase admin/root',
      'authority.rotation-ended admin/root',
    ]);
    await assert.rejects(rotation.advance('drop', by), refused('conflict', /no change of roots is under way/));
  });

  it('removes the old key at its end, and says of the old root that it is retired, over a restart too', async () => {
    const { authorities, rotation } = fixture;
    await start();
    for (const phase of ['trust', 'reissue', 'drop'] as const) {
      complete(phase);
      await rotation.advance(phase, by);
    }
    const check = async () => {
      const files = await fixture.caFiles();
      assert.ok(files.includes('kubernetes.crt') && !files.includes('kubernetes.key'));
      assert.ok(files.includes('etcd.key'));
      const all = fixture.authorities.all('kubernetes');
      assert.deepEqual(
        all.map(({ issuing, trusted, hasKey }) => ({ issuing, trusted, hasKey })),
        [
          { issuing: true, trusted: true, hasKey: true },
          { issuing: false, trusted: false, hasKey: false },
        ],
      );
      assert.deepEqual(
        all.map((ca) => ca.certificate.publicKeyPin),
        [newPin(), oldPin],
      );
      assert.ok(fixture.authorities.retiredPem('kubernetes').includes('BEGIN CERTIFICATE'));
      assert.equal(fixture.authorities.roots('kubernetes').length, 1);
    };
    const pin = newPin();
    await check();
    await fixture.restart();
    await check();
    assert.equal(newPin(), pin);
    assert.notEqual(authorities, fixture.authorities);
  });

  it('can come again, and keeps every root that was retired', async () => {
    const pins = [oldPin];
    for (let turn = 0; turn < 2; turn++) {
      await start();
      for (const phase of ['trust', 'reissue', 'drop'] as const) {
        complete(phase);
        await fixture.rotation.advance(phase, by);
      }
      pins.unshift(newPin());
      oldPin = newPin();
      await fixture.restart();
    }
    assert.deepEqual(
      fixture.authorities.all('kubernetes').map((ca) => ca.certificate.publicKeyPin),
      pins,
    );
    assert.equal(new Set(fixture.authorities.all('kubernetes').map((ca) => ca.certificate.subject)).size, 3);
  });

  it('is one at a time, and goes no step further than every node', async () => {
    const [first, second] = await Promise.allSettled([start(), start(false, ['etcd'])]);
    assert.equal(first.status, 'fulfilled');
    assert.ok(second.status === 'rejected' && refused('conflict', /is in the phase trust/)(second.reason));
    const { rotation } = fixture;
    fixture.components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin] } }), reported('w1', 'kube-proxy')];
    await assert.rejects(
      rotation.advance('trust', by),
      refused('conflict', /not complete on every node: w1: kubelet does not trust .* yet, and 1 more$/),
    );
    complete('trust');
    await assert.rejects(rotation.advance('reissue', by), refused('conflict', /the phase is trust, not reissue/));
    const twice = await Promise.allSettled([rotation.advance('trust', by), rotation.advance('trust', by)]);
    assert.deepEqual(
      twice.map((each) => each.status),
      ['fulfilled', 'rejected'],
    );
    assert.equal(fixture.authorities.phase('kubernetes'), 'reissue');
  });

  it('does not count revoked nodes, and waits for those that are away', async () => {
    await fixture.store.enrol({ node: sampleNode({ name: 'gone', revoked: true }), useToken: undefined });
    await fixture.store.enrol({ node: sampleNode({ name: 'away' }), useToken: undefined });
    await start();
    complete('trust');
    const { waitingFor } = await fixture.rotation.show();
    assert.equal(waitingFor.length, 1);
    assert.match(waitingFor[0] ?? '', /^away: it is not connected/);
  });

  it('changes only what was asked for', async () => {
    const before = fixture.authorities.rootsPem('front-proxy');
    await start(false, ['kubernetes', 'etcd']);
    assert.deepEqual((await fixture.rotation.show()).record.authorities, ['kubernetes', 'etcd']);
    assert.equal(fixture.authorities.rootsPem('front-proxy'), before);
    assert.equal(fixture.authorities.roots('etcd').length, 2);
  });
});

describe('an automatic change of roots', () => {
  it('goes on by itself when a phase is complete, and not before', async () => {
    fixture.components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin] } })];
    await start(true);
    for (const phase of ['trust', 'reissue', 'drop'] as const) {
      await fixture.rotation.check();
      assert.equal(fixture.authorities.phase('kubernetes'), phase);
      complete(phase);
      await fixture.rotation.check();
    }
    assert.equal(fixture.authorities.phase('kubernetes'), 'settled');
    await fixture.rotation.check();
    assert.deepEqual((await kinds()).slice(1), [
      'authority.phase server',
      'authority.phase server',
      'authority.rotation-ended server',
    ]);
  });

  it('is not what an operator steers', async () => {
    await start(false);
    complete('trust');
    await fixture.rotation.check();
    assert.equal(fixture.authorities.phase('kubernetes'), 'trust');
  });

  it('stays where it is when the store fails, says so, and tries again', async () => {
    await start(true);
    complete('trust');
    const logged: string[] = [];
    const log = { ...silentLog, error: (message: string) => void logged.push(message) };
    const failing = fixture.withDeps({ store: { ...fixture.store, putRotation: power }, log });
    await failing.check();
    assert.deepEqual(logged, ['cannot go on with the change of roots']);
    assert.equal(fixture.authorities.phase('kubernetes'), 'trust');
    await fixture.rotation.check();
    assert.equal(fixture.authorities.phase('kubernetes'), 'reissue');
  });

  it('is looked at each minute', async () => {
    const clock = new FakeClock();
    let checks = 0;
    const stop = new AbortController();
    const watching = watchRotation({ check: async () => void checks++ }, clock, stop.signal);
    for (let minute = 1; minute <= 3; minute++) {
      await clock.advance(CHECK_MS);
      assert.equal(checks, minute);
    }
    stop.abort();
    await assert.rejects(watching, { name: 'AbortError' });
  });
});

describe('a crash', () => {
  it('before the record leaves everything as it was, and the next start takes its files away', async () => {
    const before = await fixture.caFiles();
    const dying = fixture.withDeps({ store: { ...fixture.store, putRotation: power } });
    await assert.rejects(dying.start({ authorities: ['kubernetes', 'etcd'], automatic: false }, by), /power/);
    writeFileSync(join(fixture.stateFolder, 'ca', 'kubernetes-0123456789abcdef.key'), 'half of a start');
    assert.equal((await fixture.caFiles()).length, before.length + 5);
    await fixture.restart();
    assert.equal(newPin(), oldPin);
    assert.equal(fixture.authorities.all('kubernetes').length, 1);
    assert.equal(fixture.authorities.signerFor('kubernetes', 'kubelet-client').certificate.publicKeyPin, oldPin);

    await start(false, ['kubernetes', 'etcd']);
    assert.equal((await fixture.caFiles()).length, before.length + 4);
    await fixture.restart();
    assert.equal(fixture.authorities.phase('etcd'), 'trust');
    assert.notEqual(newPin(), oldPin);
  });

  it('between two CAs is no different', async () => {
    const dying = fixture.withDeps({
      authorities: {
        ...fixture.authorities,
        make: (authority, nowMs) => (authority === 'etcd' ? power() : fixture.authorities.make(authority, nowMs)),
      },
    });
    await assert.rejects(dying.start({ authorities: ['kubernetes', 'etcd'], automatic: false }, by), /power/);
    await fixture.restart();
    assert.equal(newPin(), oldPin);
    await start(false, ['kubernetes', 'etcd']);
    assert.equal((await fixture.caFiles()).length, 4 * 2 + 2 * 2);
  });

  it('right after the record is a start that counts', async () => {
    const { putRotation } = fixture.store;
    const dying = fixture.withDeps({
      store: { ...fixture.store, putRotation: (...step) => putRotation(...step).then(power) },
    });
    await assert.rejects(dying.start({ authorities: ['kubernetes'], automatic: false }, by), /power/);
    assert.equal(newPin(), oldPin);
    await fixture.restart();
    assert.equal(fixture.authorities.phase('kubernetes'), 'trust');
    assert.notEqual(newPin(), oldPin);
    assert.equal(fixture.rotation.generation(), 1n);
    complete('trust');
    await fixture.rotation.advance('trust', by);
  });

  it('between the end and the removal of the keys has them removed at the next start', async () => {
    await start();
    for (const phase of ['trust', 'reissue'] as const) {
      complete(phase);
      await fixture.rotation.advance(phase, by);
    }
    complete('drop');
    const dying = fixture.withDeps({ authorities: { ...fixture.authorities, forgetRetiredKeys: power } });
    await assert.rejects(dying.advance('drop', by), /power/);
    assert.ok((await fixture.caFiles()).includes('kubernetes.key'));
    await fixture.restart();
    assert.ok(!(await fixture.caFiles()).includes('kubernetes.key'));
    assert.equal(fixture.authorities.phase('kubernetes'), 'settled');
  });
});
