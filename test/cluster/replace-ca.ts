/** What holds for any cluster whose CAs are replaced by new ones while it runs: in no phase is anybody refused. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { type Cluster, nodesOf } from '../lab/clusters.ts';
import { fileTable, listFiles } from '../lab/file-table.ts';
import { buildPackages, joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import { Lab } from '../lab/lab.ts';
import { Operator } from '../lab/operator.ts';
import { makeKubernetes } from '../lab/packages.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertServed, probeTable, startProbers } from '../lab/probers.ts';

const say = (text: string) => console.log(`# ${text}`);
const PHASE_MS = 900_000;

interface Rotation {
  phase?: string;
  complete?: boolean;
  waitingFor?: string[];
}

/** Declares the tests of moving a cluster from its own CAs to new ones. */
export function replaceCaTests(name: string, start: (lab: Lab) => Promise<Cluster>): void {
  describe(`replacing the CAs of ${name}`, () => {
    let lab: Lab;
    let cluster: Cluster;
    let operator: Operator;
    let probers: Beside<ProbeReport> | undefined;

    before(async () => {
      await makeKubernetes(say);
      await buildPackages(say);
      lab = await Lab.open(say);
      cluster = await start(lab);
      const { controlPlane } = cluster;
      const options = { cluster: 'replaced', apiEndpoint: `${controlPlane.ip}:6443`, peerWatch: '5s' };
      await startServer(controlPlane, { ...options, trustOld: '/etc/kubernetes/pki' });
      operator = await Operator.of(controlPlane);
    });
    after(async () => {
      await probers?.stop().catch(() => undefined);
      await operator?.close();
      await lab?.close();
    });

    async function rotation(): Promise<Rotation> {
      return JSON.parse(await operator.call('AuthorityService/GetAuthorityRotation')).rotation ?? {};
    }

    /** Waits until the phase is complete everywhere, telling what it waits for, and begins the next. */
    async function advance(phase: string): Promise<void> {
      const endMs = Date.now() + PHASE_MS;
      let told = '';
      for (;;) {
        const now = await rotation();
        assert.equal(now.phase, `ROTATION_PHASE_${phase}`);
        // the last kubelet makes API servers verify kubelets, which changes them once more: the phase may open again
        if (now.complete === true && (await wasAdvanced(phase))) return say(`phase ${phase} is complete`);
        const waiting = (now.waitingFor ?? []).join('; ');
        if (waiting !== told) say(`phase ${phase} waits for: ${waiting}`);
        told = waiting;
        assert.ok(Date.now() < endMs, `phase ${phase} is not complete: ${waiting}`);
        await delay(2000);
      }
    }

    async function wasAdvanced(phase: string): Promise<boolean> {
      try {
        await operator.call('AuthorityService/AdvanceAuthorityRotation', { from: `ROTATION_PHASE_${phase}` });
        return true;
      } catch (error) {
        if (error instanceof Error && error.message.includes('is not complete')) return false;
        throw error;
      }
    }

    it('goes through trust, reissue and drop, and nobody is refused', async () => {
      const { controlPlane, kubelet: worker, logPath } = cluster;
      const files = new Map(cluster.hosts.map(({ host }) => [host.name, listFiles(host)]));
      probers = startProbers({ controlPlane, worker, logPath });
      for (const { host, role } of cluster.hosts) await joinNode(controlPlane, host, { role });
      for (const phase of ['TRUST', 'REISSUE', 'DROP'] as const) await advance(phase);
      const view = new FleetView(operator);
      assert.equal((await rotation()).phase, undefined, 'the change of roots is not at its end');
      for (const [node, components] of Object.entries(cluster.components)) {
        for (const component of components) await view.until(node, component, ['VERIFIED'], 240_000);
      }
      await delay(3000);
      const report = await probers.stop();
      probers = undefined;
      console.log(probeTable(report));
      await assertServed(
        report,
        cluster.hosts.map(({ host }) => host),
        100,
      );
      for (const { host } of cluster.hosts) {
        console.log(`\nFiles of ${host.name}:\n${fileTable(files.get(host.name) ?? new Map(), listFiles(host))}\n`);
      }
      assert.match(await nodesOf(cluster), / Ready /);
    });

    it('serves and trusts the new CA alone', async () => {
      const { controlPlane, hosts } = cluster;
      const old = '/etc/kubernetes/pki';
      const served = await controlPlane.run([
        'curl',
        '-s',
        '--cacert',
        `${old}/ca.crt`,
        `https://${controlPlane.ip}:6443/readyz`,
      ]);
      assert.equal(served.code, 60, 'the API server still serves a certificate of the old CA');
      const client = ['--cert', `${old}/apiserver-kubelet-client.crt`, '--key', `${old}/apiserver-kubelet-client.key`];
      const known = await controlPlane.sh(
        `curl -sk -o /dev/null -w '%{http_code}' ${client.join(' ')} https://${controlPlane.ip}:6443/apis`,
      );
      assert.equal(known, '401', 'the API server still believes a certificate of the old CA');
      for (const { host } of hosts) {
        const plan = await host.run(['kube-mtls-agent', 'plan']);
        assert.equal(plan.code, 0, `${host.name}: ${plan.stdout}${plan.stderr}`);
      }
    });
  });
}
