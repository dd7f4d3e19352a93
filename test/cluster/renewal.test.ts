/**
 * Certificates that live ten minutes renew by themselves while clients of every kind call. By default it watches until everything has
 * been renewed once; KUBE_MTLS_RENEWAL_MINUTES=30 watches that long.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { type Cluster, nodesOf, startUnitCluster } from '../lab/clusters.ts';
import { buildPackages, joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import { Lab } from '../lab/lab.ts';
import { Operator } from '../lab/operator.ts';
import { makeKubernetes } from '../lab/packages.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { outside, probeTable, startProbers } from '../lab/probers.ts';

const say = (text: string) => console.log(`# ${text}`);
/** A life of ten minutes is renewed after six and a half at the latest, and a take-up may last two and a half. */
const MINUTES = Number(process.env.KUBE_MTLS_RENEWAL_MINUTES ?? '8');
const LIFETIMES = 'lifetimes: {components: 10m, identity: 10m, server: 10m}\n';

interface IssuedView {
  profile?: string;
  holder?: string;
  serial: string;
  notAfter: string;
}

describe('certificates that live ten minutes', () => {
  let lab: Lab;
  let cluster: Cluster;
  let operator: Operator;
  let probers: Beside<ProbeReport> | undefined;

  before(async () => {
    await makeKubernetes(say);
    await buildPackages(say);
    lab = await Lab.open(say);
    cluster = await startUnitCluster(lab);
    const { controlPlane } = cluster;
    await startServer(controlPlane, {
      ...{ cluster: 'renewal', apiEndpoint: `${controlPlane.ip}:6443`, adopt: '/etc/kubernetes/pki' },
      ...{ peerWatch: '5s', settings: LIFETIMES },
    });
    operator = await Operator.of(controlPlane);
    const view = new FleetView(operator);
    for (const { host, role } of cluster.hosts) await joinNode(controlPlane, host, { role });
    for (const [node, components] of Object.entries(cluster.components)) {
      for (const component of components) await view.until(node, component, ['VERIFIED'], 420_000);
    }
    // the API server takes kubelets' certificates for good only after the last kubelet, which restarts it once more
    await controlPlane.until(
      'nothing to be left to do',
      async () => {
        const plans = await Promise.all(cluster.hosts.map(({ host }) => host.run(['kube-mtls-agent', 'plan'])));
        return plans.every(({ code }) => code === 0);
      },
      240_000,
    );
  });
  after(async () => {
    await probers?.stop().catch(() => undefined);
    await operator?.close();
    await lab?.close();
  });

  async function issued(): Promise<IssuedView[]> {
    const listed = await operator.call('FleetService/ListCertificates', { page: { pageSize: 1000 } });
    return JSON.parse(listed).certificates ?? [];
  }

  const pids = async () => {
    const server = await cluster.controlPlane.sh('systemctl show -p MainPID kube-mtls-server');
    const agents = await Promise.all(
      cluster.hosts.map(({ host }) => host.sh('systemctl show -p MainPID kube-mtls-agent')),
    );
    return [server, ...agents].map((line) => line.trim());
  };

  const counts = async () => {
    const view = new FleetView(operator);
    const rows: { what: string; restarts: number; reloads: number }[] = [];
    for (const [node, components] of Object.entries(cluster.components)) {
      for (const component of components) {
        const { restarts = 0, reloads = 0 } = (await view.component(node, component)) ?? {};
        rows.push({ what: `${node} ${component}`, restarts, reloads });
      }
    }
    return rows;
  };

  it(`renew by themselves for ${MINUTES} minutes, without a failed verification and without a refused client`, async () => {
    const { controlPlane, kubelet: worker, logPath } = cluster;
    const [serialsBefore, pidsBefore, countsBefore] = [await issued(), await pids(), await counts()];
    const startedAtMs = Date.now();
    probers = startProbers({ controlPlane, worker, logPath });
    await delay(MINUTES * 60_000);
    const report = await probers.stop();
    probers = undefined;

    console.log(probeTable(report));

    // 1. what was renewed, by certificate
    const known = new Set(serialsBefore.map(({ serial }) => serial));
    const fresh = (await issued()).filter(({ serial }) => !known.has(serial));
    const renewals = new Map<string, number>();
    for (const { holder = '', profile = '' } of fresh) {
      const what = `${holder} ${profile.replace('PROFILE_', '').toLowerCase().replaceAll('_', '-') || 'own certificate'}`;
      renewals.set(what, (renewals.get(what) ?? 0) + 1);
    }
    console.log(
      [...renewals]
        .sort()
        .map(([what, count]) => `renewed ${count} times: ${what}`)
        .join('\n'),
    );
    const wanted = new Set(
      serialsBefore
        .map(({ holder = '', profile = '' }) => `${holder} ${profile}`)
        .filter((key) => !key.startsWith('admin/')),
    );
    const renewed = new Set(fresh.map(({ holder = '', profile = '' }) => `${holder} ${profile}`));
    assert.deepEqual(
      [...wanted].filter((key) => !renewed.has(key)),
      [],
      'some were never renewed',
    );

    // 2. how it was taken up
    const countsAfter = await counts();
    for (const [index, { what, restarts, reloads }] of countsAfter.entries()) {
      const was = countsBefore[index] ?? assert.fail();
      say(`${what}: ${restarts - was.restarts} restarts, ${reloads - was.reloads} live`);
    }
    const avoided =
      countsAfter.reduce((sum, { reloads }) => sum + reloads, 0) -
      countsBefore.reduce((sum, { reloads }) => sum + reloads, 0);
    say(`restarts that a live take-up avoided: ${avoided}`);
    assert.ok(avoided > 0, 'nothing was taken up live');

    // 3. nothing failed
    const events = JSON.parse(
      await operator.call('FleetService/ListEvents', { page: { pageSize: 1000 }, kind: 'component' }),
    );
    const bad = ((events.events ?? []) as { at: string; kind: string; message: string }[]).filter(
      ({ at, kind }) => Date.parse(at) >= startedAtMs && /failed|rolled-back|degraded/.test(kind),
    );
    assert.deepEqual(
      bad.map(({ kind, message }) => `${kind}: ${message}`),
      [],
    );

    // 4. nobody was refused
    for (const [client, { refused, away, answered }] of Object.entries(report.clients)) {
      assert.ok(answered > 100 * MINUTES, `${client} was answered ${answered} times: too few to prove anything`);
      assert.deepEqual(outside(refused, report.outages), [], `${client} was refused`);
      // a kubelet that restarts is away for its callers, however well the API server is
      const missed = client === 'kubelet logs' ? [] : outside(away, report.outages);
      assert.deepEqual(missed, [], `${client} did not reach a ready API server`);
    }

    // 5. the daemons run on
    assert.deepEqual(await pids(), pidsBefore, 'a daemon was restarted');
    assert.match(await nodesOf(cluster), / Ready /);
  });
});
