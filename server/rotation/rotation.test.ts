import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, toBinary } from '@bufbuild/protobuf';
import { silentLog } from '../../common/log/log.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { InventorySchema } from '../../proto/gen/kubemtls/v1/agent_pb.js';
import { NodeCertificateSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { sampleNode } from '../store/store-contract.ts';
import { watchRotation } from './rotation.ts';
import { by, onRotation, power, refused, reported } from './rotation-for-tests.ts';

const { fixture, newPin, oldPin, start, complete, kinds } = onRotation();

describe('a change of roots', () => {
  it('goes through its phases, one after another, and tells agents and the audit of each', async () => {
    const { authorities, rotation } = fixture();
    assert.deepEqual((await rotation.show()).record.phase, 'settled');
    assert.equal(rotation.generation(), 0n);

    fixture().components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin()] } })];
    const started = await start();
    assert.deepEqual(started.waitingFor, ['w1: kubelet does not trust the new kubernetes CA yet']);
    assert.notEqual(newPin(), oldPin());
    assert.deepEqual(
      authorities.roots('kubernetes').map((root) => root.publicKeyPin),
      [newPin(), oldPin()],
    );
    assert.deepEqual([authorities.phase('kubernetes'), authorities.phase('etcd')], ['trust', 'settled']);
    assert.equal(authorities.issuingPin('kubernetes'), oldPin());
    assert.deepEqual([rotation.generation(), fixture().pushes], [1n, 1]);

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
    assert.ok((await fixture().caFiles()).includes('kubernetes.key'));

    complete('drop');
    const settled = await rotation.advance('drop', by);
    assert.deepEqual([settled.record.phase, settled.record.authorities], ['settled', []]);
    assert.deepEqual([rotation.generation(), fixture().pushes], [4n, 4]);
    assert.deepEqual(await kinds(), [
      'authority.rotation-started admin/root',
      'authority.phase admin/root',
      'authority.phase admin/root',
      'authority.rotation-ended admin/root',
    ]);
    await assert.rejects(rotation.advance('drop', by), refused('conflict', /no change of roots is under way/));
  });

  it('names in reissue what comes from the old CA and stays, and waits for none of it', async () => {
    const { rotation, store } = fixture();
    const consumer = 'kube-apiserver --tls-sni-cert-key';
    const found = create(NodeCertificateSchema, { path: '/sni.crt', consumer, issuerPin: oldPin() });
    await store.putInventory('w1', toBinary(InventorySchema, create(InventorySchema, { certificates: [found] })));
    fixture().components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin()] } })];
    await start();
    assert.deepEqual((await rotation.show()).leftBehind, []);
    complete('trust');
    await rotation.advance('trust', by);
    complete('reissue');
    const { waitingFor, leftBehind } = await rotation.show();
    assert.deepEqual(waitingFor, []);
    assert.match(
      leftBehind?.join() ?? '',
      /^w1: kube-apiserver --tls-sni-cert-key \(\/sni\.crt\) comes from the old kubernetes CA/,
    );
    assert.equal((await rotation.advance('reissue', by)).record.phase, 'drop');
  });

  it('is not complete before the agent of every node that is there has looked at it in this very phase', async () => {
    const { rotation, surveyed, online, store } = fixture();
    await store.enrol({ node: sampleNode({ name: 'w2' }), useToken: undefined });
    online.add('w2');
    surveyed.set('w2', undefined); // joined a moment ago: nothing of it is known yet
    await start();
    complete('trust');
    for (const known of [undefined, 0n]) {
      surveyed.set('w2', known);
      await assert.rejects(
        rotation.advance('trust', by),
        refused('conflict', /w2: its agent has not looked at the whole node/),
      );
    }
    surveyed.set('w2', 1n);
    assert.equal((await rotation.advance('trust', by)).record.phase, 'reissue');
    complete('reissue');
    assert.match(
      (await rotation.show()).waitingFor.join(),
      /w2: its agent has not looked/,
      'a survey of the phase before',
    );
  });

  it('removes the old key at its end, and says of the old root that it is retired, over a restart too', async () => {
    const { authorities, rotation } = fixture();
    await start();
    for (const phase of ['trust', 'reissue', 'drop'] as const) {
      complete(phase);
      await rotation.advance(phase, by);
    }
    const check = async () => {
      const files = await fixture().caFiles();
      assert.ok(files.includes('kubernetes.crt') && !files.includes('kubernetes.key'));
      assert.ok(files.includes('etcd.key'));
      const all = fixture().authorities.all('kubernetes');
      assert.deepEqual(
        all.map(({ issuing, trusted, hasKey }) => ({ issuing, trusted, hasKey })),
        [
          { issuing: true, trusted: true, hasKey: true },
          { issuing: false, trusted: false, hasKey: false },
        ],
      );
      assert.deepEqual(
        all.map((ca) => ca.certificate.publicKeyPin),
        [newPin(), oldPin()],
      );
      assert.ok(fixture().authorities.retiredPem('kubernetes').includes('BEGIN CERTIFICATE'));
      assert.equal(fixture().authorities.roots('kubernetes').length, 1);
    };
    const pin = newPin();
    await check();
    await fixture().restart();
    await check();
    assert.equal(newPin(), pin);
    assert.notEqual(authorities, fixture().authorities);
  });

  it('can come again, and keeps every root that was retired', async () => {
    const pins = [oldPin()];
    let replaced = oldPin();
    for (let turn = 0; turn < 2; turn++) {
      await start();
      for (const phase of ['trust', 'reissue', 'drop'] as const) {
        complete(phase, replaced);
        await fixture().rotation.advance(phase, by);
      }
      pins.unshift(newPin());
      replaced = newPin();
      await fixture().restart();
    }
    assert.deepEqual(
      fixture()
        .authorities.all('kubernetes')
        .map((ca) => ca.certificate.publicKeyPin),
      pins,
    );
    assert.equal(
      new Set(
        fixture()
          .authorities.all('kubernetes')
          .map((ca) => ca.certificate.subject),
      ).size,
      3,
    );
  });

  it('is one at a time, and goes no step further than every node', async () => {
    const [first, second] = await Promise.allSettled([start(), start(false, ['etcd'])]);
    assert.equal(first.status, 'fulfilled');
    assert.ok(second.status === 'rejected' && refused('conflict', /is in the phase trust/)(second.reason));
    const { rotation } = fixture();
    fixture().components = [
      reported('w1', 'kubelet', { trust: { kubernetes: [oldPin()] } }),
      reported('w1', 'kube-proxy'),
    ];
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
    assert.equal(fixture().authorities.phase('kubernetes'), 'reissue');
  });

  it('does not count revoked nodes, and waits for those that are away', async () => {
    await fixture().store.enrol({ node: sampleNode({ name: 'gone', revoked: true }), useToken: undefined });
    await fixture().store.enrol({ node: sampleNode({ name: 'away' }), useToken: undefined });
    await start();
    complete('trust');
    const { waitingFor } = await fixture().rotation.show();
    assert.equal(waitingFor.length, 1);
    assert.match(waitingFor[0] ?? '', /^away: it is not connected/);
  });

  it('does not begin while the rollout is paused, since it cannot be called off', async () => {
    const { store, rotation } = fixture();
    const before = await store.getRollout();
    await store.putRollout({ ...before, paused: true, reason: 'on cp1 kube-apiserver was rolled back' });
    const wish = { authorities: ['etcd'] as const, automatic: false };
    await assert.rejects(rotation.start(wish, by), refused('conflict', /on cp1 .*kube-mtls rollout resume/));
    assert.equal((await rotation.show()).record.phase, 'settled');
    await store.putRollout(before);
    assert.equal((await rotation.start(wish, by)).record.phase, 'trust');
  });

  it('changes only what was asked for', async () => {
    const before = fixture().authorities.rootsPem('front-proxy');
    await start(false, ['kubernetes', 'etcd']);
    assert.deepEqual((await fixture().rotation.show()).record.authorities, ['kubernetes', 'etcd']);
    assert.equal(fixture().authorities.rootsPem('front-proxy'), before);
    assert.equal(fixture().authorities.roots('etcd').length, 2);
  });
});

describe('an automatic change of roots', () => {
  it('goes on by itself when a phase is complete, and not before', async () => {
    fixture().components = [reported('w1', 'kubelet', { trust: { kubernetes: [oldPin()] } })];
    await start(true);
    for (const phase of ['trust', 'reissue', 'drop'] as const) {
      await fixture().rotation.check();
      assert.equal(fixture().authorities.phase('kubernetes'), phase);
      complete(phase);
      await fixture().rotation.check();
    }
    assert.equal(fixture().authorities.phase('kubernetes'), 'settled');
    await fixture().rotation.check();
    assert.deepEqual((await kinds()).slice(1), [
      'authority.phase server',
      'authority.phase server',
      'authority.rotation-ended server',
    ]);
  });

  it('is not what an operator steers', async () => {
    await start(false);
    complete('trust');
    await fixture().rotation.check();
    assert.equal(fixture().authorities.phase('kubernetes'), 'trust');
  });

  it('stays where it is when the store fails, says so, and tries again', async () => {
    await start(true);
    complete('trust');
    const logged: string[] = [];
    const log = { ...silentLog, error: (message: string) => void logged.push(message) };
    const failing = fixture().withDeps({ store: { ...fixture().store, putRotation: power }, log });
    await failing.check();
    assert.deepEqual(logged, ['cannot go on with the change of roots']);
    assert.equal(fixture().authorities.phase('kubernetes'), 'trust');
    await fixture().rotation.check();
    assert.equal(fixture().authorities.phase('kubernetes'), 'reissue');
  });

  it('is looked at each minute', async () => {
    const clock = new FakeClock();
    let checks = 0;
    const stop = new AbortController();
    const watching = watchRotation({ check: async () => void checks++ }, clock, stop.signal);
    for (let minute = 1; minute <= 3; minute++) {
      await clock.advance(60_000);
      assert.equal(checks, minute);
    }
    stop.abort();
    await assert.rejects(watching, { name: 'AbortError' });
  });
});
