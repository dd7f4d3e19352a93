/** A fleet in one process: the real server, real agents on fake machines, one clock, and wires that tests cut. */
import { createServer } from 'node:net';
import { type ComponentState, componentStates, type Role } from '../../common/names/names.ts';
import type { Event, GetFleetStatusResponse } from '../../proto/gen/kubemtls/v1/fleet_pb.js';
import { API_ENDPOINT, FakeCluster } from './fake-cluster.ts';
import type { KubeletFaults } from './fake-kubelet.ts';
import { FleetNode } from './fleet-node.ts';
import { IdleClock } from './idle-clock.ts';
import { type Clients, startTestServer, type TestServer } from './server-fixture.ts';

/** Tests may take so much time of the fake clock: it begins in the past, since TLS stacks compare with the real one. */
const AHEAD_MS = 20 * 3_600_000;
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
    const server = await startTestServer(yaml, { clock, apiEndpoint: API_ENDPOINT, ports });
    const signerOf = (authority: Parameters<typeof server.authorities.signerFor>[0]) =>
      server.authorities.signerFor(authority, undefined);
    const cluster = await FakeCluster.create(clock, signerOf);
    return new Fleet(clock, server, cluster, server.connect(await server.admin('boss', 'admin')));
  }

  /** Machines with a kubelet each, w1 and so on, that have joined and whose agents run. */
  async addWorkers(count: number, faults: (name: string) => KubeletFaults = () => ({})): Promise<void> {
    for (let at = 1; at <= count; at++) {
      const name = `w${at}`;
      const machine = await this.cluster.addWorker(name, `10.9.0.${at}`, this.clock, faults(name));
      await this.join(machine, 'worker');
    }
  }

  /** Lets a machine join with a token of its own, and starts its agent. */
  async join(machine: FleetNode['machine'], role: Role): Promise<FleetNode> {
    const node = await FleetNode.join(this, machine, role);
    this.nodes.push(node);
    node.start();
    return node;
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
        components.map(({ component, state }) => [`${name} ${component}`, componentStates.toWord(state) ?? 'detected']),
      ),
    );
  }

  /** Waits until every component of every node but those is VERIFIED. */
  async verified(but: readonly string[] = [], limitMs?: number): Promise<void> {
    const left = this.nodes.filter(({ name }) => !but.includes(name)).map(({ name }) => name);
    const isSo = async () => {
      const { nodes } = await this.status();
      const own = nodes.filter(({ name }) => left.includes(name));
      const verified = componentStates.toNumber('verified');
      return own.every(
        ({ components }) => components.length > 0 && components.every(({ state }) => state === verified),
      );
    };
    await this.clock.until('everything is verified', isSo, {
      ...(limitMs === undefined ? {} : { limitMs }),
      everyMs: 2000,
    });
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
