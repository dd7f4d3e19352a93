/** What holds for any cluster whose CAs are replaced by new ones while it runs: in no phase is anybody refused. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { type Cluster, nodesOf } from '../lab/clusters.ts';
import { changedFiles, fileTable, listFiles, unreadFiles } from '../lab/file-table.ts';
import { buildPackages, joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import { Lab } from '../lab/lab.ts';
import { Operator } from '../lab/operator.ts';
import { makeKubernetes } from '../lab/packages.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertServed, probeTable, startProbers } from '../lab/probers.ts';
import { PHASES, RootChange } from '../lab/root-change.ts';
import { assertNewCaAlone } from './verified.ts';

const say = (text: string) => console.log(`# ${text}`);
const PHASE_MS = 900_000;
/** Of each client: five a second in seven minutes at least, of which clients look at their files for five and a half. */
const FEWEST_ANSWERS = 1000;

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
      const options = { cluster: 'replaced', apiEndpoint: cluster.endpoint, peerWatch: '5s' };
      await startServer(controlPlane, { ...options, trustOld: '/etc/kubernetes/pki' });
      operator = await Operator.of(controlPlane);
    });
    after(async () => {
      await probers?.stop().catch(() => undefined);
      await operator?.close();
      await lab?.close();
    });

    it('goes through trust, reissue and drop, and nobody is refused', async () => {
      const { controlPlane } = cluster;
      const files = new Map(cluster.hosts.map(({ host }) => [host.name, listFiles(host)]));
      probers = startProbers(cluster);
      for (const { host, role } of cluster.hosts) await joinNode(controlPlane, host, { role });
      const change = new RootChange(operator, say);
      for (const phase of PHASES) await change.advance(phase, PHASE_MS);
      const view = new FleetView(operator);
      await change.assertEnded();
      for (const [node, components] of Object.entries(cluster.components)) {
        for (const component of components) await view.until(node, component, ['VERIFIED'], 240_000);
      }
      await delay(3000);
      const report = await probers.stop();
      probers = undefined;
      console.log(probeTable(report));
      await assertServed(report, cluster, FEWEST_ANSWERS);
      for (const { host } of cluster.hosts) {
        const [before_, after_] = [files.get(host.name) ?? new Map(), listFiles(host)];
        console.log(`\nFiles of ${host.name}:\n${fileTable(before_, after_)}\n`);
        assert.ok(before_.size > 5, 'too few files to be a node of Kubernetes');
        assert.deepEqual(unreadFiles(after_), []);
        assert.deepEqual(changedFiles(before_, after_, '/etc/kubernetes/pki'), [], 'the old CAs are not as they were');
      }
      assert.match(await nodesOf(cluster), / Ready /);
    });

    it('serves and trusts the new CA alone', () => assertNewCaAlone(cluster));
  });
}
