/** A server's authorities on disk with its store, for tests of the change of roots; the same again after a crash. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { silentLog } from '../../common/log/log.ts';
import {
  type Authority,
  authorities as authorityWords,
  type Component,
  type ComponentState,
  componentStates,
  components as componentWords,
  type Profile,
  profiles,
} from '../../common/names/names.ts';
import { FakeClock } from '../../common/time/fake-clock.ts';
import { fewIterations } from '../../common/x509/x509-for-tests.ts';
import { ComponentStatusSchema, type EtcdMembershipSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type ChangingAuthorities, loadAuthorities } from '../authority/authorities.ts';
import type { ClusterAuthority } from '../authority/import-authority.ts';
import { makeAuthorities } from '../authority/make-authorities.ts';
import { authorityFolder } from '../config/server-layout.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
import { sampleNode } from '../store/store-contract.ts';
import { createRotation, type Rotation, type RotationDeps } from './rotation.ts';

/** A server under test. */
export interface RotationFixture {
  stateFolder: string;
  clock: FakeClock;
  store: Store;
  authorities: ChangingAuthorities;
  rotation: Rotation;
  /** What the fleet reports; tests replace it. */
  components: FleetComponent[];
  /** Nodes with a session. */
  online: Set<string>;
  /** What each agent has looked at; a node that is not in it has looked at everything. */
  surveyed: Map<string, bigint | undefined>;
  /** How often agents were told. */
  pushes: number;
  /** Makes the rotation again with some of its deps replaced. */
  withDeps(more: Partial<RotationDeps>): Rotation;
  /** As a server that died and starts again. */
  restart(): Promise<void>;
  /** Names of the files of CAs. */
  caFiles(): Promise<string[]>;
  remove(): Promise<void>;
}

const lock = { passphrase: 'secret', keyIterations: fewIterations };
const LATEST = 1_000_000n;

/** Makes CAs and a store. */
export async function rotationFixture(): Promise<RotationFixture> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-rotation-'));
  const clock = new FakeClock(startMs);
  await makeAuthorities({ stateFolder, ...lock, clusterName: 'lab', adoptFolder: undefined, nowMs: startMs });
  const open = async () => {
    const store = openSqliteStore(join(stateFolder, 'kube-mtls.db'), clock);
    const authorities = await loadAuthorities(stateFolder, lock.passphrase, await store.getRotation(), fewIterations);
    return { store, authorities };
  };
  const others = (): Omit<RotationDeps, 'store' | 'authorities'> => ({
    clock,
    components: () => fixture.components,
    isOnline: (node) => fixture.online.has(node),
    surveyed: (node) => (fixture.surveyed.has(node) ? fixture.surveyed.get(node) : LATEST),
    pushSettings: async () => void fixture.pushes++,
    log: silentLog,
  });
  const deps = (): RotationDeps => ({ store: fixture.store, authorities: fixture.authorities, ...others() });
  const opened = await open();
  const fixture: RotationFixture = {
    stateFolder,
    clock,
    ...opened,
    rotation: createRotation({ ...opened, ...others() }),
    components: [],
    online: new Set(),
    surveyed: new Map(),
    pushes: 0,
    withDeps: (more) => createRotation({ ...deps(), ...more }),
    async restart() {
      await fixture.store.close();
      Object.assign(fixture, await open());
      await fixture.authorities.forgetRetiredKeys(); // as openServer does
      fixture.rotation = createRotation(deps());
    },
    caFiles: async () =>
      (await readdir(authorityFolder(stateFolder))).filter((name) => /\.(crt|key)$/.test(name)).sort(),
    async remove() {
      await fixture.store.close();
      await rm(stateFolder, { recursive: true });
    },
  };
  return fixture;
}

/** A server for each test, with the worker w1 online. */
export function onRotation() {
  let current: RotationFixture | undefined;
  let pinBefore = '';
  beforeEach(async () => {
    current = await rotationFixture();
    pinBefore = newPin();
    await current.store.enrol({ node: sampleNode(), useToken: undefined });
    current.online.add('w1');
  });
  afterEach(() => fixture().remove());

  const fixture = (): RotationFixture => current ?? assert.fail('no test runs');
  const newPin = () => fixture().authorities.certificate('kubernetes').publicKeyPin;
  return {
    fixture,
    /** Pin of the newest kubernetes CA. */
    newPin,
    /** That of the CA with which the server began. */
    oldPin: () => pinBefore,
    start: (automatic?: boolean, authorities?: ClusterAuthority[]) => startChange(fixture(), automatic, authorities),
    complete: (phase: RunningPhase, oldPin = pinBefore) =>
      completePhase(fixture(), phase, { newPin: newPin(), oldPin }),
    /** What the audit says of authorities, "KIND ACTOR", the oldest first. */
    kinds: async () =>
      (await fixture().store.listEvents({ kind: 'authority' }, { size: 99, after: undefined })).rows
        .map((event) => `${event.kind} ${event.actor}`)
        .reverse(),
  };
}

/** Whether an error is a refusal for this reason, in these words. */
export const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

/** Who steers changes of roots. */
export const by = { actor: 'admin/root', source: '10.0.0.9' };

/** What a step does during which the server dies. */
export const power = () => Promise.reject(new Error('the power went out'));

/** A phase of a change that is under way. */
export type RunningPhase = 'trust' | 'reissue' | 'drop';

/** Starts a change of roots; of the kubernetes CA, step by step, unless told otherwise. */
export function startChange(
  fixture: RotationFixture,
  automatic = false,
  authorities: ClusterAuthority[] = ['kubernetes'],
) {
  return fixture.rotation.start({ authorities, automatic }, by);
}

/** Has the kubelet of w1 say what it says once the phase is complete; pins of the kubernetes CA. */
export function completePhase(
  fixture: RotationFixture,
  phase: RunningPhase,
  { newPin, oldPin }: { newPin: string; oldPin: string },
): void {
  const trust = { kubernetes: phase === 'drop' ? [newPin] : [newPin, oldPin] };
  const issuers = { 'kubelet-client': phase === 'trust' ? oldPin : newPin };
  fixture.components = [
    reported('w1', 'kubelet', { state: phase === 'trust' ? 'pending' : 'verified', trust, issuers }),
  ];
}

/** What a component reports; verified and online unless told otherwise. */
export interface ReportedRow {
  state?: ComponentState;
  online?: boolean;
  reason?: string;
  /** Pins by authority. */
  trust?: Partial<Record<Authority, string[]>>;
  /** Pins of issuers by profile. */
  issuers?: Partial<Record<Profile, string>>;
  etcd?: MessageInitShape<typeof EtcdMembershipSchema>;
  /** How long ago it took new files up without a restart, milliseconds. */
  liveAgoMs?: number;
}

/** A row of the fleet. */
export function reported(node: string, component: Component, row: ReportedRow = {}): FleetComponent {
  const { state = 'verified', online = true, reason = '', trust = {}, issuers = {}, etcd, liveAgoMs } = row;
  const status = create(ComponentStatusSchema, {
    component: componentWords.toNumber(component),
    state: componentStates.toNumber(state),
    reason,
    trust: authorityWords.all.flatMap((authority) =>
      trust[authority] === undefined
        ? []
        : [{ authority: authorityWords.toNumber(authority), rootPins: trust[authority] }],
    ),
    certificates: profiles.all.flatMap((profile) =>
      issuers[profile] === undefined ? [] : [{ profile: profiles.toNumber(profile), issuerPin: issuers[profile] }],
    ),
    ...(etcd === undefined ? {} : { etcd }),
  });
  return { node, component, state, online, liveAgoMs, status };
}
