/**
 * Certificates that live ten minutes renew by themselves while clients of every kind call. By default it watches for one life, by whose
 * end every certificate of the beginning has ended: whoever shows one still is refused then. With KUBE_MTLS_RENEWAL_MINUTES=30 it watches
 * that long.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { nodesOf, startUnitCluster } from '../lab/clusters.ts';
import { joinNode } from '../lab/fleet.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertServed, probeTable, startProbers } from '../lab/probers.ts';

/** Undefined: for one life. */
const MINUTES = process.env.KUBE_MTLS_RENEWAL_MINUTES;
/** Whatever was in use as the watch began has ended by then. */
const LIFE_MS = 10 * 60_000;
const LIFETIMES = 'lifetimes: {components: 10m, identity: 10m, server: 10m}\n';

interface IssuedView {
  profile?: string;
  holder?: string;
  serial: string;
  notAfter: string;
}

/** Holders and profiles that have no newer certificate; those of administrators who call with grpcurl renew by hand. */
function unrenewed(before: readonly IssuedView[], fresh: readonly IssuedView[]): string[] {
  const key = ({ holder = '', profile = '' }: IssuedView) => `${holder} ${profile}`;
  const renewed = new Set(fresh.map(key));
  const wanted = new Set(before.map(key).filter((each) => !each.startsWith('admin/')));
  return [...wanted].filter((each) => !renewed.has(each));
}

describe('certificates that live ten minutes', () => {
  const { fleet, say, prepare, step, atEnd } = stepsOnCluster(startUnitCluster, {
    adopt: '/etc/kubernetes/pki',
    settings: LIFETIMES,
  });
  let probers: Beside<ProbeReport> | undefined;
  atEnd(() => probers?.stop().catch(() => undefined));

  prepare(async () => {
    const { cluster } = fleet();
    for (const { host, role } of cluster.hosts) await joinNode(cluster.controlPlane, host, { role });
    await settled();
  });

  /**
   * No change is left to be made, and every component is VERIFIED. Between the two looks a plan may open again, so that both are
   * taken twice.
   */
  async function settled(): Promise<void> {
    const { cluster, view } = fleet();
    for (const round of ['before', 'after']) {
      for (const { host } of cluster.hosts) {
        const hasNoPlan = async () => (await host.run(['kube-mtls-agent', 'plan'])).code === 0;
        await host.until(`nothing to be left to do, ${round} every component is VERIFIED`, hasNoPlan, 600_000);
      }
      for (const [node, components] of Object.entries(cluster.components)) {
        for (const component of components) await view.until(node, component, ['VERIFIED'], 240_000);
      }
    }
  }

  async function issued(): Promise<IssuedView[]> {
    const listed = await fleet().operator.call('FleetService/ListCertificates', { page: { pageSize: 1000 } });
    return JSON.parse(listed).certificates ?? [];
  }

  async function issuedSince(before: readonly IssuedView[]): Promise<IssuedView[]> {
    const known = new Set(before.map(({ serial }) => serial));
    return (await issued()).filter(({ serial }) => !known.has(serial));
  }

  const pids = async () => {
    const { cluster } = fleet();
    const server = await cluster.controlPlane.sh('systemctl show -p MainPID kube-mtls-server');
    const agents = await Promise.all(
      cluster.hosts.map(({ host }) => host.sh('systemctl show -p MainPID kube-mtls-agent')),
    );
    return [server, ...agents].map((line) => line.trim());
  };

  const counts = async () => {
    const { cluster, view } = fleet();
    const rows: { what: string; restarts: number; reloads: number }[] = [];
    for (const [node, components] of Object.entries(cluster.components)) {
      for (const component of components) {
        const { restarts = 0, reloads = 0 } = (await view.component(node, component)) ?? {};
        rows.push({ what: `${node} ${component}`, restarts, reloads });
      }
    }
    return rows;
  };

  const period = MINUTES === undefined ? 'for one life' : `for ${MINUTES} minutes`;
  step(`renew by themselves ${period}, without a failed verification and without a refused client`, async () => {
    const { cluster, operator } = fleet();
    const [serialsBefore, pidsBefore, countsBefore] = [await issued(), await pids(), await counts()];
    const startedAtMs = Date.now();
    probers = startProbers(cluster);
    await delay(MINUTES === undefined ? LIFE_MS : Number(MINUTES) * 60_000);
    await settled();
    const minutes = (Date.now() - startedAtMs) / 60_000;
    const report = await probers.stop();
    probers = undefined;

    say(`watched for ${minutes.toFixed(1)} minutes`);
    console.log(probeTable(report));

    // 1. what was renewed, by certificate
    const fresh = await issuedSince(serialsBefore);
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
    assert.deepEqual(unrenewed(serialsBefore, fresh), [], 'some were never renewed');

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
    await assertServed(report, cluster, 100 * minutes);

    // 5. the daemons run on
    assert.deepEqual(await pids(), pidsBefore, 'a daemon was restarted');
    assert.match(await nodesOf(cluster), / Ready /);
  });
});
