/**
 * A real API server that is made slow to stop by watches that are held open: how long it is away when systemd restarts it, which is what
 * the agent did until it knew better, and when the agent does.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { Beside } from '../lab/beside.ts';
import { stepsOnCluster } from '../lab/cluster-fleet.ts';
import { startUnitCluster } from '../lab/clusters.ts';
import { joinNode } from '../lab/fleet.ts';
import type { RestartReport } from '../lab/probe-restart.ts';

const UNIT = 'kube-apiserver.service';
const DROP_IN = `/etc/systemd/system/${UNIT}.d/50-kube-mtls.conf`;
/** Two calls of a prober that calls ten times a second. */
const RESOLUTION_MS = 200;
/** Each of the three callers may be just connecting when the port closes. */
const CALLERS = 3;

interface Outage {
  /** From the last answer to the first, milliseconds. */
  awayMs: number;
  /** From the start of the new process to the first answer. */
  startMs: number;
  report: RestartReport;
}

describe('an API server that is slow to stop', () => {
  const { fleet, say, prepare, step } = stepsOnCluster(startUnitCluster);

  prepare(async () => {
    const { cluster, view } = fleet();
    const cp1 = cluster.controlPlane;
    await joinNode(cp1, cp1, { role: 'control-plane' });
    for (const component of ['etcd', 'kube-apiserver', 'admin']) {
      await view.until('cp1', component, ['VERIFIED'], 300_000);
    }
  });

  /** Restarts it while clients call and watch. */
  async function measure(restart: () => Promise<unknown>): Promise<Outage> {
    const cp1 = fleet().cluster.controlPlane;
    const probers = Beside.start<RestartReport>(cp1, 'probe-restart.ts', [cp1.root, `https://${cp1.ip}:6443`]);
    await cp1.sh('sleep 8'); // calls before, and watches that are no longer new
    await restart();
    const isReady = async () => (await cp1.run(['curl', '-skf', `https://${cp1.ip}:6443/readyz`])).code === 0;
    await cp1.until('the API server to be ready', isReady, 120_000);
    await cp1.sh('sleep 2');
    const report = await probers.stop();
    // a starting API server takes connections long before it answers
    report.cut = report.cut.filter(({ why }) => !why.includes('no answer in time'));
    const shown = await cp1.sh(`systemctl show -p ExecMainStartTimestampMonotonic --value ${UNIT}`);
    const startedAtMs = Date.now() - (Number(process.hrtime.bigint()) / 1e6 - Number(shown) / 1000);
    const { readyAtMs } = report;
    const firstMs = readyAtMs.find((atMs) => atMs > startedAtMs) ?? Number.NaN;
    const lastMs = readyAtMs.findLast((atMs) => atMs < startedAtMs) ?? Number.NaN;
    return { awayMs: firstMs - lastMs, startMs: firstMs - startedAtMs, report };
  }

  function tell(title: string, { awayMs, startMs, report }: Outage): void {
    const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;
    const cut = report.cut.map(({ call, why }) => `${call} ${why}`).join(', ') || 'none';
    say(
      `${title}: away ${seconds(awayMs)}, start to /readyz ${seconds(startMs)}, ratio ${(awayMs / startMs).toFixed(2)}; watches cut ${report.watchesEndedAtMs.length}; calls answered ${report.answered}, cut: ${cut}`,
    );
  }

  step('is away for a minute when systemd restarts it, and no longer than it starts when the agent does', async () => {
    const cp1 = fleet().cluster.controlPlane;
    const plain = await measure(() => cp1.sh(`systemctl restart ${UNIT}`, 180_000));
    tell('systemctl restart', plain);
    assert.ok(plain.awayMs > 50_000, 'nothing held it');
    // drift, which the agent puts back by a restart of the API server alone
    const agent = await measure(() => cp1.sh(`echo '# drift' >>${DROP_IN}; kube-mtls-agent apply`, 300_000));
    tell('the agent', agent);
    assert.ok(agent.awayMs <= 1.2 * agent.startMs + RESOLUTION_MS);
    assert.ok(agent.report.cut.length <= Math.max(plain.report.cut.length, CALLERS), 'calls were cut');
    assert.match(await cp1.journal('kube-mtls-agent'), /ending what is slow to stop.*SIGTERM/);
    await fleet().view.until('cp1', 'kube-apiserver', ['VERIFIED'], 60_000);
  });
});
