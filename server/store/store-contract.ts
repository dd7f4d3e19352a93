/** What every engine of the store must do; each engine's own test runs it. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { components } from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { certificateContract } from './certificate-contract.ts';
import { grantContract } from './grant-contract.ts';
import { rotationContract } from './rotation-contract.ts';
import type { CertificateIntent, EventDraft, NodeRecord, Store, TokenRecord } from './store.ts';

/** A place where stores can be opened one after another, as a server that stops and starts. */
export interface StorePlace {
  open(clock: FakeClock): Promise<Store>;
  remove(): Promise<void>;
}

/** A node, for tests. */
export function sampleNode(fields: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name: 'w1',
    role: 'worker',
    addresses: ['10.0.0.11'],
    identityPin: 'sha256:aa',
    identitySerial: '1a',
    identityBefore: '',
    identityNotAfterMs: 5000,
    enrolledAtMs: 1000,
    tokenId: 'token001',
    lastSeenAtMs: 1000,
    agentVersion: '0.1.0',
    mode: undefined,
    clockSkewMs: undefined,
    revoked: false,
    ...fields,
  };
}

/** A token, for tests. */
export function sampleToken(fields: Partial<TokenRecord> = {}): TokenRecord {
  return {
    id: 'token001',
    secretSha256: '00'.repeat(32),
    role: 'worker',
    nodeNames: ['w*'],
    addresses: ['10.0.0.11', 'fd00::11'],
    sourceNetworks: ['10.0.0.0/8'],
    expiresAtMs: 86_400_000,
    maxUses: 2,
    uses: 0,
    revoked: false,
    allowReenroll: false,
    createdBy: 'admin/root',
    createdAtMs: 1000,
    ...fields,
  };
}

/** An event, for tests. */
export function sampleEvent(fields: Partial<EventDraft> = {}): EventDraft {
  return {
    kind: 'certificate.issued',
    actor: 'node/w1',
    node: 'w1',
    reason: '',
    message: 'm',
    source: '10.0.0.11',
    ...fields,
  };
}

/** A certificate's intent, for tests. */
export function sampleIntent(fields: Partial<CertificateIntent> = {}): CertificateIntent {
  return {
    serial: '5e71a1',
    authority: 'kubernetes',
    profile: 'kubelet-serving',
    holder: 'w1',
    subject: 'O=system:nodes, CN=system:node:w1',
    dnsNames: ['w1'],
    ipAddresses: ['10.0.0.11'],
    uris: [],
    notBeforeMs: 1000,
    notAfterMs: 9000,
    publicKeyPin: 'sha256:01',
    changeId: 'change-1',
    ...fields,
  };
}

/** Registers the tests for an engine. */
export function describeStoreContract(engine: string, makePlace: () => Promise<StorePlace>): void {
  describe(`the store in ${engine}`, () => {
    let place: StorePlace;
    let clock: FakeClock;
    let store: Store;
    beforeEach(async () => {
      place = await makePlace();
      clock = new FakeClock();
      store = await place.open(clock);
    });
    afterEach(async () => {
      await store.close();
      await place.remove();
    });
    const reopen = async () => {
      await store.close();
      store = await place.open(clock);
    };
    const page = { size: 100, after: undefined };

    it('keeps a node with all its fields over a restart', async () => {
      const node = sampleNode({ mode: 'observe', clockSkewMs: -250, addresses: ['10.0.0.11', 'fd00::11'] });
      await store.insertToken(sampleToken());
      await store.enrol({ node, useToken: 'token001' });
      await reopen();
      assert.deepEqual(await store.getNode('w1'), node);
      assert.equal(await store.getNode('w2'), undefined);
      assert.equal((await store.getToken('token001'))?.uses, 1);
    });

    it('lists nodes by name', async () => {
      for (const name of ['w2', 'cp1', 'w1']) await store.enrol({ node: sampleNode({ name }), useToken: undefined });
      assert.deepEqual(
        (await store.listNodes()).map((node) => node.name),
        ['cp1', 'w1', 'w2'],
      );
    });

    it('enrols no node with a token that has no use left, and counts nothing', async () => {
      await store.insertToken(sampleToken({ maxUses: 1 }));
      await store.enrol({ node: sampleNode(), useToken: 'token001' });
      const second = store.enrol({ node: sampleNode({ name: 'w2' }), useToken: 'token001' });
      await assert.rejects(second, reason('conflict'));
      assert.equal(await store.getNode('w2'), undefined);
      assert.equal((await store.getToken('token001'))?.uses, 1);
      await assert.rejects(store.enrol({ node: sampleNode(), useToken: 'unknown0' }), reason('conflict'));
    });

    it('lets only as many of many enrolments at once through as the token has uses', async () => {
      await store.insertToken(sampleToken({ maxUses: 3 }));
      const names = Array.from({ length: 10 }, (_, index) => `w${index}`);
      const results = await Promise.allSettled(
        names.map((name) => store.enrol({ node: sampleNode({ name }), useToken: 'token001' })),
      );
      assert.equal(results.filter((result) => result.status === 'fulfilled').length, 3);
      assert.equal((await store.listNodes()).length, 3);
    });

    it('records a retried enrolment anew without a use of the token', async () => {
      await store.insertToken(sampleToken({ maxUses: 1 }));
      await store.enrol({ node: sampleNode(), useToken: 'token001' });
      await store.enrol({ node: sampleNode({ identitySerial: '1b' }), useToken: undefined });
      assert.equal((await store.getNode('w1'))?.identitySerial, '1b');
    });

    it('changes fields of a node and leaves the others', async () => {
      await store.enrol({ node: sampleNode({ mode: 'enforce' }), useToken: undefined });
      await store.updateNode('w1', { lastSeenAtMs: 7000, clockSkewMs: 12.6, mode: undefined, revoked: true });
      const expected = sampleNode({ lastSeenAtMs: 7000, clockSkewMs: 13, revoked: true });
      assert.deepEqual(await store.getNode('w1'), expected);
      await store.updateNode('w9', { lastSeenAtMs: 1 });
      assert.equal(await store.getNode('w9'), undefined);
    });

    it('keeps administrators, the latest of each name', async () => {
      assert.equal(await store.getAdmin('root'), undefined);
      await store.putAdmin({ name: 'root', role: 'viewer', serial: '1' });
      await store.putAdmin({ name: 'root', role: 'admin', serial: '2' });
      await reopen();
      assert.deepEqual(await store.getAdmin('root'), { name: 'root', role: 'admin', serial: '2' });
    });

    it('keeps tokens, refuses an identifier twice and revokes', async () => {
      await store.insertToken(sampleToken());
      await assert.rejects(store.insertToken(sampleToken({ maxUses: 9 })), reason('conflict'));
      await reopen();
      assert.deepEqual(await store.getToken('token001'), sampleToken());
      assert.equal(await store.revokeToken('token001'), true);
      assert.deepEqual(await store.getToken('token001'), sampleToken({ revoked: true }));
      assert.equal(await store.revokeToken('unknown0'), false);
    });

    it('lists tokens newest first, page by page', async () => {
      for (const id of ['a', 'b', 'c', 'd', 'e']) await store.insertToken(sampleToken({ id }));
      const pages: string[][] = [];
      for (let after: string | undefined, more = true; more; more = after !== undefined) {
        const rows = await store.listTokens({ size: 2, after });
        pages.push(rows.rows.map((token) => token.id));
        after = rows.next;
      }
      assert.deepEqual(pages, [['e', 'd'], ['c', 'b'], ['a']]);
      await assert.rejects(store.listTokens({ size: 2, after: "1' OR 1" }), reason('invalid-request'));
    });

    certificateContract(() => store, reopen, sampleIntent, sampleEvent);
    grantContract(() => store, reopen, sampleNode);
    rotationContract(() => store, reopen, sampleEvent);

    it('keeps the latest status of each component and the inventory of each node', async () => {
      await store.enrol({ node: sampleNode(), useToken: undefined });
      await store.putStatus('w1', 'kubelet', Uint8Array.of(1));
      await store.putStatus('w1', 'kubelet', Uint8Array.of(2, 0, 255));
      await store.putStatus('w1', 'etcd', Uint8Array.of());
      await store.putInventory('w1', Uint8Array.of(7));
      await store.putInventory('w1', Uint8Array.of(8));
      await reopen();
      assert.deepEqual(await store.listStatuses(), [
        { node: 'w1', component: 'etcd', status: Uint8Array.of() },
        { node: 'w1', component: 'kubelet', status: Uint8Array.of(2, 0, 255) },
      ]);
      assert.deepEqual(await store.getInventory('w1'), Uint8Array.of(8));
      assert.equal(await store.getInventory('w2'), undefined);
    });

    it('keeps statuses of every component, and forgets one that is run no more', async () => {
      await store.enrol({ node: sampleNode(), useToken: undefined });
      for (const component of components.all) await store.putStatus('w1', component, Uint8Array.of(1));
      assert.deepEqual((await store.listStatuses()).map((row) => row.component).sort(), [...components.all].sort());
      await store.deleteStatus('w1', 'kube-proxy');
      await store.deleteStatus('w1', 'kube-proxy');
      await store.deleteStatus('ghost', 'kubelet');
      await reopen();
      assert.deepEqual(
        (await store.listStatuses()).map((row) => row.component).sort(),
        components.all.filter((component) => component !== 'kube-proxy').sort(),
      );
    });

    it('keeps no report of a node that is not enrolled', async () => {
      await store.putStatus('ghost', 'kubelet', Uint8Array.of(1));
      await store.putInventory('ghost', Uint8Array.of(1));
      assert.deepEqual(await store.listStatuses(), []);
      assert.equal(await store.getInventory('ghost'), undefined);
    });

    it('appends events with the time, and finds them by node and kind', async () => {
      await store.appendEvent(sampleEvent({}));
      await clock.advance(5);
      await store.appendEvent(sampleEvent({ kind: 'certificate.refused', reason: 'policy-refused', node: 'w2' }));
      await store.appendEvent(sampleEvent({ kind: 'certificates' }));
      await reopen();
      const all = (await store.listEvents({}, page)).rows;
      const [newest, middle, oldest] = all;
      assert.deepEqual(oldest, { ...sampleEvent({}), sequence: oldest?.sequence, atMs: clock.nowMs() - 5 });
      assert.ok((newest?.sequence ?? 0) > (middle?.sequence ?? 0) && (middle?.sequence ?? 0) > (oldest?.sequence ?? 0));
      const kinds = async (filter: { node?: string; kind?: string }) =>
        (await store.listEvents(filter, page)).rows.map((row) => row.kind);
      assert.deepEqual(await kinds({ kind: 'certificate' }), ['certificate.refused', 'certificate.issued']);
      assert.deepEqual(await kinds({ kind: 'certificate.issued' }), ['certificate.issued']);
      assert.deepEqual(await kinds({ kind: 'certificate', node: 'w2' }), ['certificate.refused']);
      assert.deepEqual(await kinds({ kind: 'cert%' }), []);
      const first = await store.listEvents({}, { size: 2, after: undefined });
      const second = await store.listEvents({}, { size: 2, after: first.next });
      assert.deepEqual([...first.rows, ...second.rows], all);
    });

    it('begins with a rollout that runs, and keeps it', async () => {
      const fresh = { paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration: 0, leftOut: [] };
      assert.deepEqual(await store.getRollout(), fresh);
      const paused = {
        paused: true,
        reason: 'w1 rolled back',
        node: 'w1',
        pausedAtMs: 9,
        retryGeneration: 3,
        leftOut: ['w2', 'w1'],
      };
      await store.putRollout(paused);
      await reopen();
      assert.deepEqual(await store.getRollout(), paused);
    });

    it('rejects with unavailable once it is closed', async () => {
      await store.close();
      await assert.rejects(store.getNode('w1'), reason('unavailable'));
      await assert.rejects(store.putAdmin({ name: 'x', role: 'admin', serial: '1' }), reason('unavailable'));
    });
  });
}

function reason(expected: Reason): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === expected;
}
