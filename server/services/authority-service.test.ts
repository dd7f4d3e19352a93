import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import {
  AdvanceAuthorityRotationRequestSchema,
  GetAuthorityRotationRequestSchema,
  ListAuthoritiesRequestSchema,
  RemoveNodeRequestSchema,
  StartAuthorityRotationRequestSchema,
} from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { Authority, RotationPhase } from '../../proto/gen/kubemtls/v1/types_pb.js';
import type { Caller } from '../caller.ts';
import { type RotationFixture, reported, rotationFixture } from '../rotation/rotation-for-tests.ts';
import { sampleNode } from '../store/store-contract.ts';
import { authorityService } from './authority-service.ts';

const caller: Caller = { kind: 'admin', name: 'root', role: 'admin', serial: '1', address: '10.0.0.9' };
const call = {
  method: '',
  address: '10.0.0.9',
  peerCertificate: undefined,
  signal: new AbortController().signal,
  header: () => undefined,
};
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

describe('AuthorityService', () => {
  let fixture: RotationFixture;
  beforeEach(async () => {
    fixture = await rotationFixture();
    removed = [];
    for (let index = 0; index < 25; index++) {
      await fixture.store.enrol({ node: sampleNode({ name: `w${index}` }), useToken: undefined });
      fixture.online.add(`w${index}`);
      fixture.components.push(reported(`w${index}`, 'kubelet'));
    }
  });
  afterEach(() => fixture.remove());
  let removed: unknown[];
  const service = () =>
    authorityService({
      ...fixture,
      removeNode: async (name, by) => {
        removed.push({ name, ...by });
        return ['2 remain'];
      },
    });
  const start = (fields: { authorities?: Authority[]; automatic?: boolean } = {}) =>
    service().startAuthorityRotation(create(StartAuthorityRotationRequestSchema, fields), call, caller);
  const advance = (from: RotationPhase) =>
    service().advanceAuthorityRotation(create(AdvanceAuthorityRotationRequestSchema, { from }), call, caller);
  const status = async () =>
    (await service().getAuthorityRotation(create(GetAuthorityRotationRequestSchema), call, caller)).rotation;
  const list = async () =>
    (await service().listAuthorities(create(ListAuthoritiesRequestSchema), call, caller)).certificates ?? [];

  it('lists every CA certificate, the newest of each first, with what it is good for', async () => {
    await start({ authorities: [Authority.ETCD] });
    assert.deepEqual(
      (await list()).map(({ authority, issuing, trusted, hasKey }) => ({ authority, issuing, trusted, hasKey })),
      [
        { authority: Authority.FLEET, issuing: true, trusted: true, hasKey: true },
        { authority: Authority.KUBERNETES, issuing: true, trusted: true, hasKey: true },
        { authority: Authority.ETCD, issuing: false, trusted: true, hasKey: true },
        { authority: Authority.ETCD, issuing: true, trusted: true, hasKey: true },
        { authority: Authority.FRONT_PROXY, issuing: true, trusted: true, hasKey: true },
      ],
    );
    const newest = (await list())[2];
    assert.equal(newest?.certificatePem, fixture.authorities.certificate('etcd').pem);
    assert.equal(newest?.publicKeyPin, fixture.authorities.certificate('etcd').publicKeyPin);
  });

  it('says that nothing is under way', async () => {
    assert.deepEqual(await status(), {
      authorities: [],
      phase: RotationPhase.UNSPECIFIED,
      complete: false,
      waitingFor: [],
      automatic: false,
      leftBehind: [],
    });
  });

  it('begins with all three when none is named, and says what it waits for, not without end', async () => {
    const { rotation } = await start({ automatic: true });
    assert.deepEqual(rotation?.authorities, [Authority.KUBERNETES, Authority.ETCD, Authority.FRONT_PROXY]);
    assert.deepEqual([rotation?.phase, rotation?.automatic], [RotationPhase.TRUST, true]);
    assert.equal(rotation?.waitingFor?.length, 21);
    assert.equal(rotation?.waitingFor?.at(-1), 'and 5 more');
    assert.equal(rotation?.complete, false);
    assert.deepEqual(await status(), rotation);
    const [event] = (await fixture.store.listEvents({}, { size: 1, after: undefined })).rows;
    assert.deepEqual(
      [event?.kind, event?.actor, event?.source],
      ['authority.rotation-started', 'admin/root', '10.0.0.9'],
    );
  });

  it('goes on once it is complete, from the phase that the caller names', async () => {
    await start({ authorities: [Authority.KUBERNETES, Authority.KUBERNETES] });
    await assert.rejects(
      Promise.resolve(advance(RotationPhase.TRUST)),
      refused('conflict', /not complete on every node: w0: kubelet does not trust .*, and 24 more$/),
    );
    const trust = { kubernetes: fixture.authorities.roots('kubernetes').map((root) => root.publicKeyPin) };
    fixture.components = fixture.components.map(({ node }) => reported(node, 'kubelet', { trust }));
    assert.equal((await status())?.complete, true);
    await assert.rejects(Promise.resolve(advance(RotationPhase.DROP)), refused('conflict', /is trust, not drop/));
    assert.equal((await advance(RotationPhase.TRUST)).rotation?.phase, RotationPhase.REISSUE);
  });

  const mistakes: [string, () => Promise<unknown>, Reason, RegExp][] = [
    [
      'the fleet CA',
      async () => start({ authorities: [Authority.ETCD, Authority.FLEET] }),
      'invalid-request',
      /the fleet CA is pinned/,
    ],
    ['an unknown authority', async () => start({ authorities: [99 as Authority] }), 'invalid-request', /none that/],
    ['no phase', async () => advance(RotationPhase.UNSPECIFIED), 'conflict', /begin one with kube-mtls authority/],
    ['an unknown phase', async () => advance(99 as RotationPhase), 'invalid-request', /from is no phase/],
    ['a step of nothing', async () => advance(RotationPhase.TRUST), 'conflict', /begin one with kube-mtls authority/],
  ];
  for (const [what, make, reason, text] of mistakes) {
    it(`refuses ${what}, and changes nothing`, async () => {
      await assert.rejects(make(), refused(reason, text));
      assert.equal((await status())?.phase, RotationPhase.UNSPECIFIED);
      assert.equal((await list()).length, 4);
    });
  }

  it('removes a node in the name of who asked', async () => {
    const answer = await service().removeNode(create(RemoveNodeRequestSchema, { name: 'w1' }), call, caller);
    assert.deepEqual(answer.warnings, ['2 remain']);
    assert.deepEqual(removed, [{ name: 'w1', actor: 'admin/root', source: '10.0.0.9' }]);
  });

  it('refuses a second one', async () => {
    await start();
    await assert.rejects(Promise.resolve(start()), refused('conflict', /is in the phase trust/));
  });
});
