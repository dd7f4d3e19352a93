import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type ComponentState, componentStates } from '../../common/names/names.ts';
import {
  Component,
  type ComponentStatus,
  ComponentStatusSchema,
  Profile,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { acceptReport } from './accept-report.ts';

interface Said {
  state: ComponentState;
  serial?: string;
  restarts?: number;
  atMs?: number;
}

describe('acceptReport', () => {
  const rows: [string, Said | undefined, Said, string[], ComponentState, boolean, boolean][] = [
    // what, before, report, serials proved, stored as, news, stops the rollout
    [
      'verified, confirmed by peers',
      { state: 'verifying' },
      { state: 'verified', serial: 'a' },
      ['a'],
      'verified',
      true,
      false,
    ],
    [
      'verified, without the word of peers',
      { state: 'verifying' },
      { state: 'verified', serial: 'a' },
      [],
      'failed',
      true,
      true,
    ],
    [
      'verified, peers having confirmed another certificate',
      { state: 'verifying' },
      { state: 'verified', serial: 'b' },
      ['a'],
      'failed',
      true,
      true,
    ],
    ['verified at first sight', undefined, { state: 'verified', serial: 'a' }, [], 'failed', true, false],
    [
      'verified, without naming a certificate',
      { state: 'verified', serial: '' },
      { state: 'verified', serial: '' },
      [''],
      'failed',
      true,
      false,
    ],
    [
      'verified again after a reconnect',
      { state: 'verified', serial: 'a' },
      { state: 'verified', serial: 'a' },
      [],
      'verified',
      false,
      false,
    ],
    [
      'verified with a new certificate without proof',
      { state: 'verified', serial: 'a' },
      { state: 'verified', serial: 'b' },
      [],
      'failed',
      true,
      false,
    ],
    [
      'verified anew after it was degraded',
      { state: 'degraded', serial: 'a' },
      { state: 'verified', serial: 'a' },
      [],
      'verified',
      true,
      false,
    ],
    [
      'verified with a new certificate after it was degraded, without proof',
      { state: 'degraded', serial: 'a' },
      { state: 'verified', serial: 'b' },
      [],
      'failed',
      true,
      false,
    ],
    [
      'degraded, with the proof that failed',
      { state: 'verified', serial: 'a' },
      { state: 'degraded', serial: 'a' },
      [],
      'degraded',
      true,
      false,
    ],
    ['rolled back', { state: 'verifying' }, { state: 'rolled-back', restarts: 2 }, [], 'rolled-back', true, true],
    [
      'rolled back, said again after a reconnect',
      { state: 'rolled-back', restarts: 2 },
      { state: 'rolled-back', restarts: 2 },
      [],
      'rolled-back',
      false,
      false,
    ],
    [
      'rolled back once more after a second try',
      { state: 'rolled-back', restarts: 2 },
      { state: 'rolled-back', restarts: 4 },
      [],
      'rolled-back',
      true,
      true,
    ],
    ['failed after a change', { state: 'applying' }, { state: 'failed' }, [], 'failed', true, true],
    [
      'failed after a change whose steps were not heard of',
      { state: 'pending' },
      { state: 'failed', restarts: 1 },
      [],
      'failed',
      true,
      true,
    ],
    ['failed before any change', { state: 'pending' }, { state: 'failed' }, [], 'failed', true, false],
    ['pending', { state: 'detected' }, { state: 'pending' }, [], 'pending', true, false],
  ];
  for (const [what, before, said, serials, state, news, stops] of rows) {
    it(`stores "${what}" as ${state}${stops ? ' and stops the rollout' : ''}`, async () => {
      const accepted = await acceptReport({
        component: 'etcd',
        previous: before && status(before),
        report: status(said),
        proved: async (serial) => serials.includes(serial),
      });
      assert.deepEqual([accepted.state, accepted.news, accepted.stop !== undefined], [state, news, stops]);
      assert.equal(componentStates.toWord(accepted.status.state), state);
    });
  }

  it('tells why it does not believe', async () => {
    const report = status({ state: 'verified', serial: 'a' });
    const accepted = await acceptReport({
      component: 'etcd',
      previous: undefined,
      report,
      proved: async () => false,
    });
    assert.match(accepted.status.reason, /^not confirmed by peers/);
  });

  it('takes no other certificate of the component for the one it serves', async () => {
    const report = status({ state: 'verified' });
    report.certificates.push({ ...certificate('a'), profile: Profile.ETCD_PEER });
    const accepted = await acceptReport({
      component: 'etcd',
      previous: undefined,
      report,
      proved: async () => true,
    });
    assert.equal(accepted.state, 'failed');
  });
});

function status({ state, serial, restarts = 0, atMs }: Said): ComponentStatus {
  return create(ComponentStatusSchema, {
    component: Component.ETCD,
    state: componentStates.toNumber(state),
    restarts,
    certificates: serial === undefined ? [] : [certificate(serial)],
    ...(atMs === undefined ? {} : { updatedAt: timestampFromMs(atMs) }),
  });
}

function certificate(serial: string): ComponentStatus['certificates'][number] {
  const made = create(ComponentStatusSchema, { certificates: [{ profile: Profile.ETCD_SERVER, serial }] });
  const [only] = made.certificates;
  assert.ok(only);
  return only;
}
