/** What comes after the adoption: files that somebody else changes, and a node that is taken out and comes back. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { onEtcdFleet, overTls, pidOf, untilVerified } from '../lab/etcd-fleet.ts';
import { joinLine } from '../lab/fleet.ts';
import { stepsOnLab } from '../lab/steps.ts';

const OURS = '/etc/kube-mtls/etcd.env';
/** Two thirds of ten minutes, and what is done before. */
const RENEWED_MS = 600_000;

describe('an adopted etcd', () => {
  const steps = stepsOnLab();
  const { step } = steps;
  const fleet = onEtcdFleet(steps, { settings: 'lifetimes: {components: 10m}\n' });

  /** Somebody makes etcd believe callers without a certificate; returns when an operator is told. */
  async function drift(): Promise<string> {
    const { etcd, view } = fleet();
    const before = await etcd.read(OURS);
    await etcd.sh(`sed -i s/ETCD_CLIENT_CERT_AUTH=true/ETCD_CLIENT_CERT_AUTH=false/ ${OURS}; systemctl restart etcd`);
    const { reason } = await view.until('e1', 'etcd', ['DEGRADED'], 120_000);
    assert.match(reason ?? '', /etcd\.env/);
    assert.notEqual(await etcd.read(OURS), before);
    return before;
  }

  step('is adopted', async () => {
    const { etcd } = fleet();
    // it looks at the node's files every five minutes otherwise
    await etcd.write('/etc/kube-mtls/agent.yaml', 'reconcileInterval: 10s\n');
    await etcd.sh('kube-mtls-agent mode enforce');
    await untilVerified(fleet());
  });

  step('has a changed file put back by kube-mtls-agent apply', async () => {
    const before = await drift();
    const { etcd } = fleet();
    await etcd.sh('kube-mtls-agent apply', 240_000);
    await untilVerified(fleet());
    assert.equal(await etcd.read(OURS), before);
  });

  step('has a changed file put back by kube-mtls rollout resume', async () => {
    const before = await drift();
    const { etcd, server } = fleet();
    await server.sh('kube-mtls rollout resume');
    await untilVerified(fleet());
    assert.equal(await etcd.read(OURS), before);
  });

  step('has a changed file put back with its next renewal', async () => {
    const before = await drift();
    await untilVerified(fleet(), RENEWED_MS);
    assert.equal(await fleet().etcd.read(OURS), before);
  });

  step('goes on when its node is taken out of the fleet, and is VERIFIED when the node comes back', async () => {
    const { etcd, server } = fleet();
    const pid = await pidOf(etcd);
    await server.sh('kube-mtls node remove e1');
    const isOut = async () => /e1 .*removed|0 of 0/.test(await server.sh('kube-mtls fleet'));
    await server.until('the node to be out of the fleet', isOut);
    const isCutOff = async () =>
      /^server .*not connected/m.test((await etcd.run(['kube-mtls-agent', 'status'])).stdout);
    await etcd.until('the agent to tell that it has no session', isCutOff);
    assert.equal(await pidOf(etcd), pid, 'etcd was restarted');
    assert.match(await etcd.sh(overTls('endpoint health 2>&1')), /is healthy/);

    await etcd.sh(await joinLine(server, '--role etcd --node e1 --allow-reenroll'));
    await untilVerified(fleet());
  });
});
