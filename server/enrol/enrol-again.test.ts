import assert from 'node:assert/strict';
import { afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { generateKey, type PrivateKey, publicKeyPin } from '../../common/x509/keys.ts';
import { EnrollNodeRequestSchema } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import { NodeRole } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import { removeNode } from '../fleet/remove-node.ts';
import { sampleAuthorities, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import { sampleIntent, sampleNode } from '../store/store-contract.ts';
import { type EnrolFixture, enrolFixture, minuteMs, refused, secret } from './enrol-for-tests.ts';
import { createEnrolNode } from './enrol-node.ts';

describe('enrolNode, once more', () => {
  let authorities: Authorities;
  let key: PrivateKey;
  let otherKey: PrivateKey;
  let fixture: EnrolFixture;
  before(async () => {
    authorities = await sampleAuthorities();
    key = await generateKey('ecdsa-p256');
    otherKey = await generateKey('ecdsa-p256');
  });
  beforeEach(() => {
    fixture = enrolFixture(authorities, key);
  });
  afterEach(() => fixture.store.close());

  describe('of a name that is enrolled', () => {
    it('lets the same token with the same key try again for ten minutes, though it is used up', async () => {
      await fixture.token();
      const first = parseCertificate((await fixture.attempt()).certificatePem);
      await fixture.clock.advance(10 * minuteMs);
      const again = parseCertificate((await fixture.attempt()).certificatePem);
      assert.notEqual(again.serial, first.serial);
      const node = await fixture.store.getNode('w1');
      assert.deepEqual([node?.identitySerial, node?.enrolledAtMs], [again.serial, startMs]);
      assert.equal((await fixture.store.getToken('token001'))?.uses, 1);
      await fixture.clock.advance(1);
      await assert.rejects(fixture.attempt(), refused('unauthenticated', /not valid/));
    });

    for (const stepMs of [60 * minuteMs, -60 * minuteMs]) {
      it(`lets it try again for those ten minutes when the wall clock is set by ${stepMs} ms`, async () => {
        await fixture.token();
        await fixture.attempt();
        fixture.clock.step(stepMs);
        await fixture.clock.advance(10 * minuteMs);
        await fixture.attempt();
        await fixture.clock.advance(1);
        await assert.rejects(fixture.attempt(), refused('unauthenticated', /not valid/));
      });
    }

    it('lets nobody else use the token in this time: not another key, not another name', async () => {
      await fixture.token({ nodeNames: ['w*'] });
      await fixture.attempt();
      await assert.rejects(fixture.attempt({ key: otherKey }), refused('unauthenticated', /not valid/));
      await assert.rejects(fixture.attempt({ name: 'w2' }), refused('unauthenticated', /not valid/));
      assert.equal((await fixture.store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
    });

    it('does not let a revoked token be tried again', async () => {
      await fixture.token();
      await fixture.attempt();
      await fixture.store.revokeToken('token001');
      await assert.rejects(fixture.attempt(), refused('unauthenticated', /not valid/));
    });

    it('refuses another key with another token, and says what to do', async () => {
      await fixture.token({ maxUses: 5 });
      await fixture.attempt();
      await fixture.token({ id: 'token002' });
      for (const id of ['token001', 'token002']) {
        const taken = fixture.attempt({ key: otherKey, authorization: `Bearer ${id}.${secret}` });
        await assert.rejects(taken, refused('conflict', /enrolled with another key: .*--allow-reenroll/));
      }
      assert.equal((await fixture.store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
      assert.equal((await fixture.store.getToken('token002'))?.uses, 0);
    });

    it('takes its old key with a new token, and another one on the word of an operator', async () => {
      await fixture.token();
      await fixture.attempt();
      await fixture.clock.advance(20 * minuteMs);
      await fixture.token({ id: 'token002', role: 'control-plane' });
      assert.equal(
        (await fixture.attempt({ authorization: `Bearer token002.${secret}` })).role,
        NodeRole.CONTROL_PLANE,
      );
      assert.equal((await fixture.store.getNode('w1'))?.enrolledAtMs, fixture.clock.nowMs());
      await fixture.token({ id: 'token003', allowReenroll: true, nodeNames: ['w1'] });
      await fixture.attempt({ key: otherKey, authorization: `Bearer token003.${secret}` });
      assert.equal((await fixture.store.getNode('w1'))?.identityPin, publicKeyPin(otherKey.publicKey));
    });

    it('lets one of two win that ask at once', async () => {
      await fixture.token({ maxUses: 5 });
      const results = await Promise.allSettled([fixture.attempt(), fixture.attempt({ key: otherKey })]);
      assert.deepEqual(
        results.map((result) => result.status),
        ['fulfilled', 'rejected'],
      );
      assert.equal((await fixture.store.getNode('w1'))?.identityPin, publicKeyPin(key.publicKey));
    });
  });

  describe('of a node that was removed', () => {
    const back = { allowReenroll: true, nodeNames: ['w1'] };
    const withToken = { authorization: `Bearer token002.${secret}` };
    beforeEach(async () => {
      await fixture.token({ maxUses: 5 });
      await fixture.attempt();
      await fixture.store.updateNode('w1', { revoked: true });
    });

    it('refuses it without such a word, with the same token and key at once too', async () => {
      await fixture.token({ id: 'token002' });
      for (const fields of [{}, { key: otherKey }, withToken, { ...withToken, key: otherKey }]) {
        await assert.rejects(fixture.attempt(fields), refused('node-revoked', /w1 was removed .*--allow-reenroll/));
      }
      assert.equal((await fixture.store.getNode('w1'))?.revoked, true);
    });

    it('refuses the keys that it had, on such a word too, and says what to do', async () => {
      await fixture.store.recordIntents([
        sampleIntent({ holder: 'w1', serial: 'aa', publicKeyPin: publicKeyPin(otherKey.publicKey) }),
      ]);
      await fixture.token({ id: 'token002', ...back });
      for (const each of [key, otherKey]) {
        await assert.rejects(fixture.attempt({ ...withToken, key: each }), refused('node-revoked', /pending\.key/));
      }
      assert.equal((await fixture.store.getNode('w1'))?.revoked, true);
      assert.equal((await fixture.store.getToken('token002'))?.uses, 0);
    });

    it('takes it back with a new key on the word of an operator', async () => {
      await fixture.token({ id: 'token002', ...back });
      assert.ok((await fixture.attempt({ ...withToken, key: otherKey })).certificatePem);
      const node = await fixture.store.getNode('w1');
      assert.deepEqual([node?.revoked, node?.identityPin], [false, publicKeyPin(otherKey.publicKey)]);
      assert.match((await fixture.events('enrol.accepted'))[0]?.message ?? '', /again, after its removal$/);
      assert.ok((await fixture.attempt({ ...withToken, key: otherKey })).certificatePem, 'the answer may be lost');
    });

    it('has its address no more: another node may have it', async () => {
      assert.deepEqual((await fixture.attempt({ name: 'w2', key: otherKey })).addresses, ['10.0.0.11']);
    });
  });

  it('does not write a node back that is removed while it enrols', async () => {
    await fixture.token({ maxUses: 5 });
    await fixture.attempt();
    const by = { actor: 'admin/boss', source: '' };
    await fixture.store.enrol({ node: sampleNode({ name: 'w9' }), useToken: undefined });
    const alone = await turnsUntil(removeNode('w9', by, fixture.removal));
    let removed: Promise<string[]> | undefined;
    const listNodes = async () => {
      removed = removeNode('w1', by, fixture.removal);
      // ten times what it takes when nothing holds it up: time enough for it to come in between, if it could
      assert.equal(await turnsUntil(removed, alone * 10), alone * 10, 'it came in between');
      return fixture.store.listNodes();
    };
    const enrolNode = createEnrolNode({ ...fixture.deps, store: { ...fixture.store, listNodes } });
    const request = create(EnrollNodeRequestSchema, { nodeName: 'w1', csr: sampleCsr(key) });
    await enrolNode({ authorization: `Bearer token001.${secret}`, address: '10.0.0.11' }, request);
    await (removed ?? assert.fail('it was not removed meanwhile'));
    assert.equal((await fixture.store.getNode('w1'))?.revoked, true);
  });

  it('finishes after a crash between record and signature, when the node asks again', async () => {
    await fixture.token();
    const broken = createEnrolNode({
      ...fixture.deps,
      authorities: {
        ...authorities,
        signerFor: () => {
          throw new Error('the power went out');
        },
      },
    });
    const request = create(EnrollNodeRequestSchema, { nodeName: 'w1', csr: sampleCsr(key) });
    await assert.rejects(
      broken({ authorization: `Bearer token001.${secret}`, address: '10.0.0.11' }, request),
      /power/,
    );
    assert.equal((await fixture.store.getToken('token001'))?.uses, 1);
    assert.ok((await fixture.attempt()).certificatePem);
    assert.equal((await fixture.store.getToken('token001'))?.uses, 1);
  });

  describe('slows down', () => {
    const wrong = { authorization: `Bearer token001.${'b1'.repeat(16)}` };

    it('a source after ten refusals, for good tokens too, and says how long; the audit stays small', async () => {
      await fixture.token();
      for (let tries = 0; tries < 10; tries++)
        await assert.rejects(fixture.attempt(wrong), refused('unauthenticated', /./));
      for (let tries = 0; tries < 50; tries++) {
        await assert.rejects(fixture.attempt(), (error) => {
          return error instanceof AppError && error.reason === 'rate-limited' && error.retryAfterMs === minuteMs;
        });
      }
      assert.equal((await fixture.events('enrol.refused')).length, 10);
      await fixture.clock.advance(minuteMs);
      assert.ok((await fixture.attempt()).certificatePem);
    });

    it('a whole IPv6 network of one host, and no other source', async () => {
      await fixture.token();
      for (let tries = 0; tries < 10; tries++) {
        await assert.rejects(fixture.attempt({ ...wrong, address: `fd00::${tries}` }), refused('unauthenticated', /./));
      }
      await assert.rejects(fixture.attempt({ address: 'fd00::ffff:1' }), refused('rate-limited', /./));
      assert.ok((await fixture.attempt({ address: 'fd00:0:0:1::1' })).certificatePem);
    });

    it('guesses at one token from many sources', async () => {
      await fixture.token();
      for (let tries = 0; tries < 30; tries++) {
        await assert.rejects(
          fixture.attempt({ ...wrong, address: `10.9.${tries}.1` }),
          refused('unauthenticated', /./),
        );
      }
      await assert.rejects(fixture.attempt(), refused('rate-limited', /./));
      await fixture.clock.advance(minuteMs / 2);
      assert.ok((await fixture.attempt()).certificatePem);
    });
  });
});

/** How many turns of the event loop it takes until the work is over, or the most. */
async function turnsUntil(work: Promise<unknown>, most = Number.POSITIVE_INFINITY): Promise<number> {
  let isOver = false;
  void work.finally(() => {
    isOver = true;
  });
  for (let turns = 0; ; turns++) {
    if (isOver || turns === most) return turns;
    await new Promise(setImmediate);
  }
}
