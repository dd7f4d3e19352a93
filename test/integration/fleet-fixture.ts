/** A fleet in one process: the real server, real agents on fake machines, one clock, and wires that tests cut. */
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import {
  type ComponentState,
  componentStates,
  components as componentWords,
  type Role,
} from '../../common/names/names.ts';
import type { Clock } from '../../common/time/clock.ts';
import type { Event, GetFleetStatusResponse } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { Disturbances } from './disturbances.ts';
import { API_ENDPOINT, FakeCluster } from './fake-cluster.ts';
import type { KubeletFaults } from './fake-kubelet.ts';
import type { FakeMachine } from './fake-machine.ts';
import { FleetNode } from './fleet-node.ts';
import { IdleClock, type Patience } from './idle-clock.ts';
import { type Clients, startTestServer, type TestServer } from './server-fixture.ts';

/** Tests may take so much time of the fake clock: it begins in the past, since TLS stacks compare with the real one. */
const AHEAD_MS = 20 * 3_600_000;
/** A folder in memory where there is one: a fleet syncs its files thousands of times, and no test of it is about disks. */
const PARENT = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
/** Real time of a second while connections come back: gRPC dials again after half a second of real time. */
const COME_BACK_MS = 25;

/** The fleet. */
export class Fleet {
  readonly clock: IdleClock;
  readonly server: TestServer;
  readonly cluster: FakeCluster;
  /** As an administrator sees it; anew after each start of the server. */
  admin: Clients;
  readonly nodes: FleetNode[] = [];
  readonly disturbances = new Disturbances();
  readonly #faults = new Map<string, KubeletFaults>();

  private constructor(clock: IdleClock, server: TestServer, cluster: FakeCluster, admin: Clients) {
    this.clock = clock;
    this.server = server;
    this.cluster = cluster;
    this.admin = admin;
  }

  /** A server, and a cluster without nodes. */
  static async start(yaml = ''): Promise<Fleet> {
    const clock = new IdleClock(Date.now() - AHEAD_MS);
    const ports = { bootstrap: await freePort(), fleet: await freePort() };
    const server = await startTestServer(yaml, { clock, apiEndpoint: API_ENDPOINT, ports, parent: PARENT });
    const signerOf = (authority: Parameters<typeof server.authorities.signerFor>[0]) =>
      server.authorities.signerFor(authority, undefined);
    const cluster = await FakeCluster.create(PARENT, clock, signerOf);
    return new Fleet(clock, server, cluster, server.connect(await server.admin('boss', 'admin')));
  }

  /**
   * Machines with a kubelet each, w1 and so on, that have joined and whose agents run.
   *
   * @param onBefore - shown each before it joins
   */
  async addWorkers(count: number, onBefore: (machine: FakeMachine) => void = () => {}): Promise<void> {
    for (let at = 1; at <= count; at++) {
      const machine = await this.addWorker(`w${at}`, `10.9.0.${at}`);
      onBefore(machine);
      await this.join(machine, 'worker');
    }
  }

  /** Control plane nodes, cp1 and so on, that have joined and whose agents run. */
  async addControlPlanes(count: number): Promise<void> {
    const machines: FakeMachine[] = [];
    for (let at = 1; at <= count; at++) {
      machines.push(await this.cluster.addControlPlane(`cp${at}`, `10.9.2.${at}`, this.clock));
    }
    for (const machine of machines) await this.join(machine, 'control-plane');
  }

  /** A machine with a kubelet that has not joined yet. */
  addWorker(name: string, address: string, clock: Clock = this.clock): Promise<FakeMachine> {
    const faults: KubeletFaults = {};
    this.#faults.set(name, faults);
    return this.cluster.addWorker(name, address, clock, faults);
  }

  /** Lets a machine join with a token of its own, and starts its agent. */
  async join(machine: FleetNode['machine'], role: Role): Promise<FleetNode> {
    const node = await FleetNode.join(this, machine, role);
    this.nodes.push(node);
    node.start();
    return node;
  }

  /** What goes wrong with the kubelet of a node from its next start on. */
  faultsOf(name: string): KubeletFaults {
    const found = this.#faults.get(name);
    if (found === undefined) throw new Error(`no kubelet on ${name}`);
    return found;
  }

  node(name: string): FleetNode {
    const found = this.nodes.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no node ${name}`);
    return found;
  }

  status(): Promise<GetFleetStatusResponse> {
    return this.admin.fleet.getFleetStatus({});
  }

  /** The events of a kind, or all, oldest first. */
  async events(kind = ''): Promise<Event[]> {
    const rows: Event[] = [];
    let pageToken = '';
    do {
      const page = await this.admin.fleet.listEvents({ kind, page: { pageSize: 500, pageToken } });
      rows.push(...page.events);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return rows.reverse();
  }

  /** States of the whole fleet: "w1 kubelet" to "verified". */
  async states(): Promise<Map<string, ComponentState>> {
    const { nodes } = await this.status();
    return new Map(
      nodes.flatMap(({ name, components }) =>
        components.map(({ component, state }) => [
          `${name} ${componentWords.toWord(component)}`,
          componentStates.toWord(state) ?? 'detected',
        ]),
      ),
    );
  }

  /** Waits until every component of every node but those is VERIFIED, and the rollout goes on. */
  async verified(but: readonly string[] = [], patience: Patience = {}): Promise<void> {
    const left = this.nodes.filter(({ name }) => !but.includes(name)).map(({ name }) => name);
    const verified = componentStates.toNumber('verified');
    let missing: string[] = [];
    const isSo = async () => {
      const { nodes, rollout } = await this.status();
      const own = nodes.filter(({ name }) => left.includes(name));
      missing = own.flatMap(({ name, components }) => {
        if (components.length === 0) return [`${name} said nothing`];
        return components.flatMap(({ state, component, reason }) =>
          state === verified
            ? []
            : [`${name} ${componentWords.toWord(component)} ${componentStates.toWord(state)} ${reason}`],
        );
      });
      if (rollout?.paused) missing.push(`the rollout is paused: ${rollout.reason}`);
      return missing.length === 0;
    };
    try {
      await this.clock.until('everything is verified', isSo, { everyMs: 2000, ...patience });
    } catch (error) {
      throw new Error(missing.slice(0, 10).join('\n'), { cause: error });
    }
  }

  /** The server goes away. */
  async stopServer(): Promise<void> {
    await this.server.stop();
  }

  /** It comes back on the same store, and waits for all agents whose wires are whole. */
  async startServer(): Promise<void> {
    await this.server.start();
    this.admin = this.server.connect(await this.server.admin('boss', 'admin'));
    await this.slowly(async () => {
      const reachable = this.nodes.filter(({ isReachable }) => isReachable).length;
      await this.clock.until('agents come back', async () => (await this.status()).nodesOnline >= reachable);
    });
  }

  /** Does something while connections come back, for which gRPC waits by real timers. */
  async slowly(work: () => Promise<void>): Promise<void> {
    this.clock.secondTakesMs = COME_BACK_MS;
    try {
      await work();
    } finally {
      this.clock.secondTakesMs = 0;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
    for (const node of this.nodes) node.wire.close();
    await this.server.close();
    await this.cluster.close();
  }
}

/** A port that no connection of this machine takes by itself: they begin at 32768 (ip_local_port_range). */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => probe.close(resolve));
    return port;
  }
}
