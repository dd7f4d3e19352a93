/** What holds for any cluster whose CAs are replaced by new ones while it runs: in no phase is anybody refused. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Beside } from '../lab/beside.ts';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { type Cluster, nodesOf } from '../lab/clusters.ts';
import { changedFiles, fileTable, listFiles, unreadFiles } from '../lab/file-table.ts';
import { joinNode } from '../lab/fleet.ts';
import type { Lab } from '../lab/lab.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertServed, probeTable, startProbers } from '../lab/probers.ts';
import { assertMoved, type Published, readPublished } from '../lab/published.ts';
import { PHASES, RootChange } from '../lab/root-change.ts';
import { assertNewCaAlone } from './verified.ts';

const PHASE_MS = 900_000;
/** Of each client: five a second in five minutes, less the time that an API server or kubelet is away. */
const FEWEST_ANSWERS = 700;

/** Declares the tests of moving a cluster from its own CAs to new ones. */
export function replaceCaTests(name: string, start: (lab: Lab, say: (text: string) => void) => Promise<Cluster>): void {
  describe(`replacing the CAs of ${name}`, () => {
    const { fleet, say, step, atEnd } = stepsOnCluster(start, { trustOld: '/etc/kubernetes/pki' });
    let probers: Beside<ProbeReport> | undefined;
    let published: Published | undefined;
    atEnd(() => probers?.stop().catch(() => undefined));

    const moved = async () => {
      const { cluster, operator, view } = fleet();
      const files = new Map(cluster.hosts.map(({ host }) => [host.name, listFiles(host)]));
      published = await readPublished(cluster.controlPlane);
      probers = startProbers(cluster);
      for (const { host, role } of cluster.hosts) await joinNode(cluster.controlPlane, host, { role });
      const change = new RootChange(operator, say);
      for (const phase of PHASES) await change.advance(phase, PHASE_MS);
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
    };
    step('goes through trust, reissue and drop, and nobody is refused', moved, { mostMs: PHASE_MS * 3 });

    step('serves and trusts the new CA alone', () => assertNewCaAlone(fleet().cluster));

    step('leaves tokens of service accounts good, and gives pods the new root', () =>
      assertMoved(fleet().cluster.controlPlane, published ?? assert.fail('nothing was published')),
    );
  });
}
