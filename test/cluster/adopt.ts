/** What holds for any cluster that is adopted: every component VERIFIED, every file accounted for, and nothing left to do. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { COUNT_MS } from '../../agent/journal/observations.ts';
import { type ClusterFleet, stepsOnCluster } from '../lab/cluster-fleet.ts';
import { type Cluster, nodesOf } from '../lab/clusters.ts';
import { alarmsOf } from '../lab/component-logs.ts';
import { changedFiles, type FileEntry, fileTable, listFiles, lostFiles, unreadFiles } from '../lab/file-table.ts';
import { joinNode } from '../lab/fleet.ts';
import type { Lab } from '../lab/lab.ts';
import { logLoudly } from '../lab/log-loudly.ts';
import { oldReferences } from '../lab/old-references.ts';
import type { ProbeReport } from '../lab/probe-clients.ts';
import { assertServed, probeTable, startProbers } from '../lab/probers.ts';
import { assertStillGood, type Published, readPublished } from '../lab/published.ts';
import type { LabSteps } from '../lab/steps.ts';
import { assertNothingLeft, assertVerified } from './verified.ts';

/** Longer than the slowest: an API server that waits for its permit, restarts and is watched by its peers. */
const VERIFIED_MS = 420_000;
const LOAD_MS = 60_000;
/** From the agent's count to the server's event. */
const TOLD_MS = 5_000;
const FEWEST_LINES = 50;
/** Of each client while the cluster is changed: five a second, for half a minute at least. */
const FEWEST_ANSWERS = 100;
const PKI = '/etc/kubernetes/pki';
/**
 * Objects made, listed and removed as fast as kubectl can for a minute, pods whose image nobody can pull, and callers that any port
 * meets.
 */
const LOAD = `export KUBECONFIG=/etc/kubernetes/admin.conf
end=$(( $(date +%s) + ${LOAD_MS / 1000} ))
for n in $(seq 100000); do
  (( $(date +%s) < end )) || break
  kubectl create configmap load-$n --from-literal=a=$n >/dev/null
  kubectl get configmaps -A >/dev/null
  kubectl delete configmap load-$n >/dev/null
  kubectl run load-$n --image=127.0.0.1:9/none --overrides='{"spec":{"tolerations":[{"operator":"Exists"}]}}' >/dev/null
  kubectl delete pod load-$n --grace-period=0 --force --wait=false >/dev/null 2>&1
  timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/6443' || true
done`;

/** A cluster that is being adopted, for tests to look into. */
export interface Adoption {
  fleet(): ClusterFleet<Cluster>;
  step: LabSteps['step'];
  /** Hosts that have joined already. */
  joined: Set<string>;
}

/** Tests of one kind of cluster. */
export interface MoreTests {
  /** Before any node has joined. */
  first?: (adoption: Adoption) => void;
  /** When everything is VERIFIED. */
  last?: (adoption: Adoption) => void;
}

/** Declares the tests of adopting a cluster. */
export function adoptionTests(
  name: string,
  start: (lab: Lab, say: (text: string) => void) => Promise<Cluster>,
  more: MoreTests = {},
): void {
  describe(`adopting ${name}`, () => {
    const { fleet, say, prepare, step } = stepsOnCluster(start, { adopt: PKI, allJoin: true });
    const joined = new Set<string>();
    const adoption: Adoption = { fleet, step, joined };
    /** Files before anything of ours was there, by host. */
    let filesBefore: ReadonlyMap<string, ReadonlyMap<string, FileEntry>>;
    /** What pods and nodes were given before. */
    let published: Published | undefined;
    /** What clients met while it was changed. */
    let report: ProbeReport | undefined;

    prepare(async () => {
      filesBefore = new Map(fleet().cluster.hosts.map(({ host }) => [host.name, listFiles(host)]));
      published = await readPublished(fleet().cluster.controlPlane);
    });

    /** Files of a host before anything of ours was there, and now. */
    function filesOf(name: string): [Map<string, FileEntry>, Map<string, FileEntry>] {
      const host = fleet().cluster.hosts.find((each) => each.host.name === name)?.host;
      assert.ok(host !== undefined, `there is no host ${name}`);
      return [new Map(filesBefore.get(name)), listFiles(host)];
    }

    more.first?.(adoption);

    step('ends with every component VERIFIED, each with passed checks and evidence, and the node Ready', async () => {
      const { cluster, view } = fleet();
      const probers = startProbers(cluster);
      try {
        for (const { host, role } of cluster.hosts) {
          if (!joined.has(host.name)) await joinNode(cluster.controlPlane, host, { role });
        }
        await assertVerified(cluster, view, VERIFIED_MS, say);
        assert.match(await nodesOf(cluster), / Ready /);
      } finally {
        report = await probers.stop();
        console.log(probeTable(report));
      }
    });

    step('refuses nobody meanwhile, and is away once for each restart and not for long', async () => {
      await assertServed(report ?? assert.fail('nobody called'), fleet().cluster, FEWEST_ANSWERS);
    });

    step(
      'accounts for every file of Kubernetes: none is lost, none of the old CAs changed, none is used any more',
      async () => {
        for (const { host } of fleet().cluster.hosts) {
          const [before_, after_] = filesOf(host.name);
          console.log(`\nFiles of ${host.name}:\n${fileTable(before_, after_)}\n`);
          assert.deepEqual(unreadFiles(after_), []);
          assert.ok(before_.size > 5, 'too few files to be a node of Kubernetes');
          assert.deepEqual(lostFiles(before_, after_), []);
          assert.deepEqual(changedFiles(before_, after_, PKI), []);
          assert.deepEqual(await oldReferences(host, after_, fleet().cluster.components[host.name] ?? []), []);
        }
      },
    );

    step("embeds another certificate in the administrator's kubeconfig", () => {
      const [before_, after_] = filesOf(fleet().cluster.controlPlane.name);
      const [was, is] = [before_, after_].map((files) => files.get('/etc/kubernetes/admin.conf')?.content ?? []);
      assert.ok(was?.length === 2 && is?.length === 2, JSON.stringify([was, is]));
      assert.notDeepEqual(is, was);
    });

    step('has nothing left to do', () => assertNothingLeft(fleet().cluster));

    step('leaves the service account keys alone', () => {
      const [before_, after_] = filesOf(fleet().cluster.controlPlane.name);
      for (const file of [`${PKI}/sa.key`, `${PKI}/sa.pub`]) {
        assert.match(before_.get(file)?.content.join() ?? '', /^a key, sha256 /);
        assert.deepEqual(after_.get(file), before_.get(file));
      }
    });

    step('leaves tokens of service accounts good, and what the cluster publishes as it was', () =>
      assertStillGood(fleet().cluster.controlPlane, published ?? assert.fail('nothing was published')),
    );

    step('finds nothing wrong in the logs of the healthy cluster under load', async () => {
      const { cluster, operator } = fleet();
      const { controlPlane } = cluster;
      await logLoudly(cluster);
      // agents count what they see and tell it once a minute: what the managers said as they lost their API server was before
      await delay(COUNT_MS + TOLD_MS);
      const sinceMs = Date.now();
      const probers = startProbers(cluster);
      try {
        await controlPlane.sh(LOAD, LOAD_MS * 2);
      } finally {
        const { clients } = await probers.stop();
        say(
          `asked under load: ${Object.values(clients).reduce((sum, { asked }) => sum + asked, 0)} requests of clients`,
        );
      }
      for (const [name, components] of Object.entries(cluster.components)) {
        const host = cluster.hosts.find((each) => each.host.name === name)?.host ?? assert.fail();
        for (const component of components.filter((each) => each !== 'admin')) {
          const { lines, alarms } = await alarmsOf(host, component, cluster.runs(component), sinceMs);
          say(`${name} ${component}: ${lines} lines, ${alarms.length} taken for a failure`);
          assert.deepEqual(alarms, []);
          assert.ok(lines >= FEWEST_LINES, `${component} logged ${lines} lines: too few to prove anything`);
        }
      }
      const { events = [] } = JSON.parse(await operator.call('FleetService/ListEvents', { kind: 'tls' }));
      const raised = (events as { at: string; message: string }[]).filter(({ at }) => Date.parse(at) > sinceMs);
      assert.deepEqual(raised, [], 'an agent raised a false alarm');
    });

    more.last?.(adoption);
  });
}
