/** What holds for any cluster that is adopted: every component VERIFIED, every file accounted for, and nothing left to do. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Cluster, nodesOf } from '../lab/clusters.ts';
import { type FileEntry, fileTable, listFiles } from '../lab/file-table.ts';
import { buildPackages, joinNode, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import { Lab } from '../lab/lab.ts';
import { Operator } from '../lab/operator.ts';
import { makeKubernetes } from '../lab/packages.ts';

const say = (text: string) => console.log(`# ${text}`);
/** Longer than the slowest: an API server that waits for its permit, restarts and is watched by its peers. */
const VERIFIED_MS = 420_000;

/** Declares the tests of adopting a cluster. */
export function adoptionTests(name: string, start: (lab: Lab) => Promise<Cluster>): void {
  describe(`adopting ${name}`, () => {
    let lab: Lab;
    let cluster: Cluster;
    let operator: Operator;
    const before_ = new Map<string, ReadonlyMap<string, FileEntry>>();

    before(async () => {
      await makeKubernetes(say);
      await buildPackages(say);
      lab = await Lab.open(say);
      cluster = await start(lab);
      for (const { host } of cluster.hosts) before_.set(host.name, listFiles(host));
      const { controlPlane } = cluster;
      await startServer(controlPlane, {
        ...{ cluster: 'adopted', apiEndpoint: `${controlPlane.ip}:6443`, adopt: '/etc/kubernetes/pki' },
        peerWatch: '5s',
      });
      operator = await Operator.of(controlPlane);
      for (const { host, role } of cluster.hosts) await joinNode(controlPlane, host, { role });
    });
    after(async () => {
      await operator?.close();
      await lab?.close();
    });

    it('ends with every component VERIFIED and the node Ready', async () => {
      const view = new FleetView(operator);
      for (const [node, components] of Object.entries(cluster.components)) {
        for (const component of components) {
          const { restarts = 0, reloads = 0 } = await view.until(node, component, ['VERIFIED'], VERIFIED_MS);
          say(`${node} ${component} is VERIFIED: ${restarts} restarts, ${reloads} live`);
        }
      }
      assert.match(await nodesOf(cluster), / Ready /);
    });

    it('accounts for every file of Kubernetes, before and after', () => {
      for (const { host } of cluster.hosts) {
        const after_ = listFiles(host);
        console.log(`\nFiles of ${host.name}:\n${fileTable(before_.get(host.name) ?? new Map(), after_)}\n`);
        const unread = [...after_.values()].filter(({ content }) => content.some((each) => each.includes('cannot be')));
        assert.deepEqual(unread, []);
        assert.ok(after_.size > 5, 'too few files to be a node of Kubernetes');
      }
    });

    it('has nothing left to do', async () => {
      for (const { host } of cluster.hosts) {
        const plan = await host.run(['kube-mtls-agent', 'plan']);
        assert.equal(plan.code, 0, `${host.name}: ${plan.stdout}${plan.stderr}`);
      }
    });

    it('leaves the service account keys alone', () => {
      const { host } = cluster.hosts.at(-1) ?? assert.fail();
      for (const file of ['/etc/kubernetes/pki/sa.key', '/etc/kubernetes/pki/sa.pub']) {
        assert.deepEqual(listFiles(host).get(file), before_.get(host.name)?.get(file));
      }
    });
  });
}
