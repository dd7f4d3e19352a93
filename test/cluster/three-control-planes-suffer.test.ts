/**
 * A cluster of three control planes behind one address, whose CAs are being changed, all three at once, meets what clusters meet: a control
 * plane loses its power in the middle of its change, the etcd that leads is killed, the load balancer is away. Then the operator takes the
 * change back. Clients of every kind call meanwhile.
 */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import type { Component } from '../../common/names/names.ts';
import { untilRecovered } from '../lab/agent-deaths.ts';
import { startThreeControlPlanes } from '../lab/clusters.ts';
import type { Host } from '../lab/host.ts';
import { RootChange } from '../lab/root-change.ts';
import { PHASE_MS, stepsOnBalanced } from './balanced.ts';

const BALANCER_AWAY_MS = 30_000;
const STEP_MS = 1_800_000;
const PKI = '/etc/kube-mtls/pki';
const CLIENT = ['--cacert', '--cert', '--key'].map((flag, at) => {
  const file = ['client-ca.crt', 'healthcheck-client.crt', 'healthcheck-client.key'][at];
  return `${flag} ${PKI}/etcd/current/${file}`;
});
const STATUS = `curl -sS -m 5 ${CLIENT.join(' ')} -d '{}' https://127.0.0.1:2379/v3/maintenance/status`;
/** Every root that a control plane has in use. */
const ROOTS = `cat ${PKI}/{etcd,kube-apiserver,kube-controller-manager,kube-scheduler}/current/*-ca.crt`;

/** Writes into the log of its kubelet, every two seconds, that this API server cannot be trusted: so can whoever has taken a worker over. */
function lie(ip: string): string {
  const url = `https://${ip}:6443/api/v1/services?limit=500`;
  const line = `E1201 12:00:00.000000       1 reflector.go:138] k8s.io/client-go/informers/factory.go:134: Failed to watch *v1.Service: failed to list *v1.Service: Get "${url}": x509: certificate signed by unknown authority`;
  return `#!/bin/bash
while sleep 2; do
  group=/sys/fs/cgroup/systemd/system.slice/kubelet.service
  [ -d $group ] || group=/sys/fs/cgroup/unified/system.slice/kubelet.service
  [ -d $group ] || group=/sys/fs/cgroup/system.slice/kubelet.service
  bash -c 'echo $$ >'$group'/cgroup.procs; exec logger -t kubelet -- '"'"'${line}'"'"
done
`;
}

describe('three control planes behind one address that suffer', () => {
  const { fleet, say, prepare, step, steps, adopt, settled, probedThrough } = stepsOnBalanced(startThreeControlPlanes);
  let change: RootChange;
  /** What each control plane trusted before. */
  const before = new Map<string, string>();

  const controlPlanes = () => fleet().cluster.hosts.filter(({ role }) => role === 'control-plane');
  const notice = async () => void (await steps().unfinished(fleet().cluster.components));

  prepare(async () => {
    change = new RootChange(fleet().operator, say);
    await adopt();
    await settled();
    for (const { host } of controlPlanes()) before.set(host.name, await host.sh(ROOTS));
  });

  async function untilState(node: string, component: Component, states: readonly string[]): Promise<void> {
    await fleet().view.until(node, component, states, PHASE_MS);
  }

  async function assertNothingPaused(): Promise<void> {
    const { rollout } = JSON.parse(await fleet().operator.call('RolloutService/GetRollout'));
    assert.equal(rollout?.paused ?? false, false, JSON.stringify(rollout));
  }

  /** The control plane whose etcd leads. */
  async function leader(): Promise<Host> {
    for (const { host } of controlPlanes()) {
      const { leader: id, header } = JSON.parse(await host.sh(STATUS));
      if (id !== undefined && id === header?.member_id) return host;
    }
    return assert.fail('no etcd leads');
  }

  const liedAbout = async () => {
    const { cluster } = fleet();
    const { controlPlane: cp1, kubelet: w1 } = cluster;
    const hostOf = (name: string) => cluster.hosts.find(({ host }) => host.name === name)?.host ?? assert.fail();
    await hostOf('cp2').sh('systemctl stop kube-mtls-agent');
    await hostOf('cp3').sh('systemctl kill -s STOP kube-mtls-agent');
    await w1.write('/root/lie', lie(cp1.ip), '0755');
    await w1.sh('systemd-run -q --unit lie /root/lie');
    await probedThrough(async () => {
      await change.begin(cp1);
      const rollout = async () => JSON.parse(await fleet().operator.call('RolloutService/GetRollout')).rollout;
      const paused = async () => ((await rollout()).paused === true ? await rollout() : undefined);
      const { reason, node } = await cp1.until('the rollout to be stopped', paused, PHASE_MS);
      say(`the rollout is paused: ${reason}`);
      assert.equal(node, 'w1');
      assert.match(reason, /^kube-apiserver of cp1: w1 alone complains about kube-apiserver, .*: the change is kept/);
      const { state = '', checks = [] } = (await fleet().view.component('cp1', 'kube-apiserver')) ?? {};
      assert.notEqual(state, 'COMPONENT_STATE_ROLLED_BACK');
      const peers = checks.find(({ kind }) => kind === 'CHECK_KIND_PEERS');
      say(`peers of cp1's API server: ${peers?.result} ${peers?.summary}`);
      await w1.sh('systemctl stop lie');
      await hostOf('cp3').sh('systemctl kill -s CONT kube-mtls-agent');
      await hostOf('cp2').sh('systemctl start kube-mtls-agent');
      await cp1.sh('kube-mtls rollout resume');
    });
  };
  step('keeps a change about which one worker lies, while one control plane hangs and one is away', liedAbout, {
    mostMs: STEP_MS,
  });

  const powerCut = async () => {
    const { lab, cluster } = fleet();
    await probedThrough(async () => {
      await untilState('cp3', 'kube-apiserver', ['APPLYING', 'VERIFYING']);
      const entry = cluster.hosts.find(({ host }) => host.name === 'cp3') ?? assert.fail();
      entry.host = await lab.cutPower('cp3');
      await untilRecovered(entry.host);
      await untilState('cp3', 'kube-apiserver', ['VERIFIED']);
      await assertNothingPaused();
    });
  };
  step('a control plane that loses its power in its change ends it as all-new or all-old', powerCut, {
    mostMs: STEP_MS,
  });

  const leaderKilled = async () => {
    await probedThrough(async () => {
      const host = await leader();
      await host.sh('systemctl kill -s KILL etcd');
      say(`the etcd of ${host.name}, which led, was killed`);
      await host.until('it to be back', async () => (await host.run(['bash', '-c', STATUS])).code === 0);
      say(`the etcd of ${(await leader()).name} leads`);
      await assertNothingPaused();
    });
  };
  step('the etcd that leads is killed', leaderKilled, { mostMs: STEP_MS });

  const balancerAway = async () => {
    await fleet().cluster.balancer.beAway(BALANCER_AWAY_MS);
    say(`the load balancer was away for ${BALANCER_AWAY_MS / 1000} s`);
    await change.advance('TRUST', PHASE_MS, notice);
    await assertNothingPaused();
  };
  step('the load balancer is away, and the phase trust comes to its end', balancerAway, { mostMs: STEP_MS });

  const takenBack = async () => {
    const { cluster } = fleet();
    const cp1 = cluster.controlPlane;
    await probedThrough(async () => {
      await untilState('cp1', 'kube-apiserver', ['APPLYING', 'VERIFYING']);
      say((await cp1.sh('kube-mtls authority abort')).trim());
      const again = async () => {
        await notice();
        return (await cp1.run(['kube-mtls', 'authority', 'abort'])).code === 0;
      };
      await cp1.until('every certificate to come from the old CAs', again, PHASE_MS);
      await change.untilEnded(PHASE_MS, notice);
      await settled();
    });
    await assertNothingPaused();
    for (const { host } of controlPlanes()) {
      assert.equal(await host.sh(ROOTS), before.get(host.name), `${host.name} trusts something else`);
    }
  };
  step('the change is taken back from reissue, and everybody trusts what was trusted before', takenBack, {
    mostMs: STEP_MS * 2,
  });
});
