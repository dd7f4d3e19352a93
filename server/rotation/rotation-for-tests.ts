/** A server's authorities on disk with its store, for tests of the change of roots; the same again after a crash. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
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
import { ComponentStatusSchema, type EtcdMembershipSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type ChangingAuthorities, loadAuthorities } from '../authority/authorities.ts';
import { makeAuthorities } from '../authority/make-authorities.ts';
import { authorityFolder } from '../config/server-layout.ts';
import type { FleetComponent } from '../fleet/fleet-state.ts';
import { startMs } from '../policy/policy-for-tests.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';
import type { Store } from '../store/store.ts';
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

const passphrase = 'secret';

/** Makes CAs and a store. */
export async function rotationFixture(): Promise<RotationFixture> {
  const stateFolder = await mkdtemp(join(tmpdir(), 'kube-mtls-rotation-'));
  const clock = new FakeClock(startMs);
  await makeAuthorities({ stateFolder, passphrase, clusterName: 'lab', adoptFolder: undefined, nowMs: startMs });
  const open = async () => {
    const store = openSqliteStore(join(stateFolder, 'kube-mtls.db'), clock);
    const authorities = await loadAuthorities(stateFolder, passphrase, await store.getRotation());
    return { store, authorities };
  };
  const deps = (): RotationDeps => ({
    store: fixture.store,
    authorities: fixture.authorities,
    clock,
    components: () => fixture.components,
    isOnline: (node) => fixture.online.has(node),
    pushSettings: async () => void fixture.pushes++,
    log: silentLog,
  });
  const opened = await open();
  const fixture: RotationFixture = {
    stateFolder,
    clock,
    ...opened,
    rotation: createRotation({
      ...opened,
      clock,
      components: () => fixture.components,
      isOnline: (node) => fixture.online.has(node),
      pushSettings: async () => void fixture.pushes++,
      log: silentLog,
    }),
    components: [],
    online: new Set(),
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
}

/** A row of the fleet. */
export function reported(node: string, component: Component, row: ReportedRow = {}): FleetComponent {
  const { state = 'verified', online = true, reason = '', trust = {}, issuers = {}, etcd } = row;
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
  return { node, component, state, online, status };
}
