import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Component, ComponentState, ComponentStatusSchema, Profile } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { sampleNode } from '../store/store-contract.ts';
import { type WarningsInput, type WatchedNode, warningsOf } from './warnings.ts';

const NOW_MS = Date.UTC(2026, 0, 1);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const PAUSED = {
  ...{ paused: true, reason: 'w9 rolled back', node: 'w9', pausedAtMs: NOW_MS, retryGeneration: 0 },
  leftOut: [],
};

describe('warnings', () => {
  const rows: [string, Partial<WatchedNode>, Partial<WarningsInput>, RegExp[]][] = [
    ['a fleet that is well', {}, {}, []],
    [
      'a node that is away',
      { online: false, lastSeenAtMs: NOW_MS - HOUR_MS },
      {},
      [/^w1 is not connected since 2025-12-31T23:00:00Z$/],
    ],
    ['a clock within a minute', { skewMs: -60_000 }, {}, []],
    ['a clock that is ahead', { skewMs: 90_000 }, {}, [/^the clock of w1 is 90 s ahead/]],
    ['a clock that is behind', { skewMs: -61_000 }, {}, [/^the clock of w1 is 61 s behind/]],
    ['a component that failed', { statuses: [status(ComponentState.FAILED)] }, {}, [/^etcd on w1 is failed: because$/]],
    ['a component that is degraded', { statuses: [status(ComponentState.DEGRADED)] }, {}, [/etcd on w1 is degraded/]],
    [
      'a component that was undone',
      { statuses: [status(ComponentState.ROLLED_BACK)] },
      {},
      [/etcd on w1 is rolled-back/],
    ],
    ['certificates with 31 days left', { statuses: [status(ComponentState.VERIFIED, 31 * DAY_MS)] }, {}, []],
    [
      'a certificate with 30 days left',
      { statuses: [status(ComponentState.VERIFIED, 30 * DAY_MS)] },
      {},
      [/^etcd-server of w1 ends within 30 days, at 2026-01-31/],
    ],
    [
      'a certificate with 10 days left',
      { statuses: [status(ComponentState.VERIFIED, 10 * DAY_MS)] },
      {},
      [/within 14 days/],
    ],
    [
      'a certificate with 2 days left',
      { statuses: [status(ComponentState.VERIFIED, 2 * DAY_MS)] },
      {},
      [/within 7 days/],
    ],
    ['a certificate with an hour left', { statuses: [status(ComponentState.VERIFIED, HOUR_MS)] }, {}, [/within a day/]],
    [
      'a certificate that ended',
      { statuses: [status(ComponentState.VERIFIED, -HOUR_MS)] },
      {},
      [/^etcd-server of w1 ended at/],
    ],
    ['an identity that is about to be renewed', { node: node({ identityNotAfterMs: NOW_MS + 9 * DAY_MS }) }, {}, []],
    [
      'an identity near its end',
      { node: node({ identityNotAfterMs: NOW_MS + DAY_MS }) },
      {},
      [/^the identity of w1 ends within a day/],
    ],
    ['a revoked node', { node: node({ revoked: true }), online: false }, {}, []],
    [
      'a CA near its end',
      {},
      {
        authorities: [
          {
            authority: 'etcd',
            subject: '',
            serial: '',
            notAfterMs: NOW_MS + 20 * DAY_MS,
            imported: true,
            publicKeyPin: '',
          },
        ],
      },
      [/^the etcd CA ends within 30 days/],
    ],
    [
      'a paused rollout',
      {},
      { rollout: PAUSED },
      [/^the rollout is paused since 2026-01-01T00:00:00Z: w9 rolled back$/],
    ],
    [
      'a paused rollout that a change of roots waits for',
      {},
      { phase: 'trust', rollout: PAUSED },
      [
        /^the rollout is paused since .*: w9 rolled back; the change of roots waits .* in trust: .*"kube-mtls authority abort" takes it back$/,
      ],
    ],
    ['a permit that is held for less than ten minutes', {}, { permits: [permit(599_999)] }, []],
    [
      'a permit that is held for ten minutes',
      {},
      { permits: [permit(600_000)] },
      [/^w1 holds its permit for kubelet, kube-proxy since 2025-12-31T23:50:00Z$/],
    ],
    [
      'a permit that is held for too long',
      {},
      { permits: [permit(1_800_000)] },
      [/^w1 holds .* since 2025-12-31T23:30:00Z, beyond the greatest age of 30m: look at it/],
    ],
    ['a node that stopped the rollout once', {}, { stops: new Map([['w1', 1]]) }, []],
    [
      'a node that stopped the rollout twice',
      {},
      { stops: new Map([['w1', 2]]) },
      [/^failures on w1 stopped the rollout 2 times within a day/],
    ],
    [
      'a node that is left out',
      {},
      { rollout: { paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration: 1, leftOut: ['w1'] } },
      [/^w1 is left out of the rollout; "kube-mtls rollout resume --let-in w1" ends that$/],
    ],
    ['what a node did that is gone', { node: node({ revoked: true }) }, { stops: new Map([['w1', 2]]) }, []],
  ];
  for (const [what, watched, input, expected] of rows) {
    it(`${expected.length === 0 ? 'say nothing of' : 'tell of'} ${what}`, () => {
      const warnings = warningsOf({ ...base(watched), ...input });
      assert.equal(warnings.length, expected.length, warnings.join('; '));
      for (const [at, pattern] of expected.entries()) assert.match(warnings[at] ?? '', pattern);
    });
  }

  it('are cut to what a person reads', () => {
    const { nodes, ...rest } = base({ online: false });
    const warnings = warningsOf({ ...rest, nodes: Array.from({ length: 300 }, () => nodes).flat() });
    assert.equal(warnings.length, 201);
    assert.equal(warnings.at(-1), 'and 100 more');
  });
});

function base(watched: Partial<WatchedNode>): WarningsInput {
  const rollout = { paused: false, reason: '', node: '', pausedAtMs: 0, retryGeneration: 0, leftOut: [] };
  const well = { node: node({}), online: true, lastSeenAtMs: NOW_MS, skewMs: 0, statuses: [] };
  const lifetimes = { componentsMs: 365 * DAY_MS, profilesMs: {}, identityMs: 30 * DAY_MS };
  return {
    ...{ nowMs: NOW_MS, nodes: [{ ...well, ...watched }], authorities: [], rollout, lifetimes },
    ...{ permits: [], maxAgeMs: HOUR_MS / 2, stops: new Map(), phase: 'settled' },
  };
}

function permit(ageMs: number): WarningsInput['permits'][number] {
  return { node: 'w1', components: ['kubelet', 'kube-proxy'], sinceMs: NOW_MS - ageMs, ageMs };
}

function node(fields: Parameters<typeof sampleNode>[0]) {
  return sampleNode({ identityNotAfterMs: NOW_MS + 365 * DAY_MS, ...fields });
}

function status(state: ComponentState, leftMs = 300 * DAY_MS) {
  const notAfter = timestampFromMs(NOW_MS + leftMs);
  const certificates = [{ profile: Profile.ETCD_SERVER, serial: 'a', notAfter }];
  return create(ComponentStatusSchema, { component: Component.ETCD, state, reason: 'because', certificates });
}
