/** A server that enrols, in memory, with a token; for tests. */
import { create } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import type { PrivateKey } from '../../common/x509/keys.ts';
import { EnrollNodeRequestSchema, type EnrollNodeResponse } from '../../proto/gen/kubemtls/v1/enrollment_pb.js';
import type { Authorities } from '../authority/authorities.ts';
import type { RemoveNodeDeps } from '../fleet/remove-node.ts';
import { sampleConfig, sampleCsr, startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { EventRow, Store, TokenRecord } from '../store/store.ts';
import { sampleToken } from '../store/store-contract.ts';
import { hashSecret } from '../token/token-text.ts';
import { createEnrolNode, type EnrolDeps } from './enrol-node.ts';
import { createTurns } from './in-turn.ts';

/** Secret of every token of the fixture. */
export const secret = 'a1'.repeat(16);
export const minuteMs = 60_000;

/** An enrolment; what is left out is w1 at 10.0.0.11 with token001 and the fixture's key. */
export interface Attempt {
  authorization?: string | undefined;
  address?: string;
  name?: string;
  key?: PrivateKey;
  csr?: Uint8Array;
}

/** What tests work with. */
export interface EnrolFixture {
  clock: FakeClock;
  store: Store;
  deps: EnrolDeps;
  /** A removal of nodes beside it, of which nothing but the store remembers anything. */
  removal: RemoveNodeDeps;
  /** Inserts a token, token001 for any worker from anywhere, once, for an hour, unless told otherwise. */
  token(fields?: Partial<TokenRecord>): Promise<void>;
  attempt(fields?: Attempt): Promise<EnrollNodeResponse>;
  events(kind: string): Promise<EventRow[]>;
}

/** A new one; the caller closes its store. */
export function enrolFixture(authorities: Authorities, key: PrivateKey): EnrolFixture {
  const clock = new FakeClock(startMs);
  const store = openSqliteStore(':memory:', clock);
  const inTurn = createTurns();
  const deps = { store, authorities, config: sampleConfig(), clock, inTurn };
  const enrolNode = createEnrolNode(deps);
  return {
    clock,
    store,
    deps,
    removal: {
      store,
      fleet: { get: () => undefined, components: () => [], noteNode: () => {}, keepOnly: async () => [] },
      sessions: { end: () => {} },
      permits: { list: () => [], release: async () => {} },
      rotation: { check: async () => {} },
      pushSettings: async () => {},
      inTurn,
    },
    token: (fields = {}) =>
      store.insertToken(
        sampleToken({
          id: 'token001',
          secretSha256: hashSecret(secret),
          nodeNames: [],
          addresses: [],
          sourceNetworks: [],
          expiresAtMs: startMs + 60 * minuteMs,
          maxUses: 1,
          ...fields,
        }),
      ),
    attempt: (fields = {}) =>
      enrolNode(
        {
          authorization: 'authorization' in fields ? fields.authorization : `Bearer token001.${secret}`,
          address: fields.address ?? '10.0.0.11',
        },
        create(EnrollNodeRequestSchema, {
          nodeName: fields.name ?? 'w1',
          csr: fields.csr ?? sampleCsr(fields.key ?? key),
          agentVersion: '0.1.0',
        }),
      ),
    events: async (kind) => (await store.listEvents({ kind }, { size: 100, after: undefined })).rows,
  };
}

/** For assert.rejects: an AppError of this reason whose message has these words. */
export function refused(reason: Reason, text: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof AppError && error.reason === reason && text.test(error.message);
}
