/** The CA server's host is lost; its backup is put on another host that takes over the address. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { onEtcdFleet, pidOf, untilVerified } from '../lab/etcd-fleet.ts';
import { installPackage, joinNode } from '../lab/fleet.ts';
import { stepsOnLab } from '../lab/steps.ts';

/** What the README tells to keep. */
const KEPT = 'var/lib/kube-mtls-server etc/kube-mtls';

describe('a CA server that is restored on another host', () => {
  const steps = stepsOnLab();
  const { lab, step } = steps;
  const fleet = onEtcdFleet(steps, { settings: 'lifetimes: {components: 10m}\n' });
  let backup = '';

  step('is backed up as the README tells, and lost with its host', async () => {
    const { etcd, server } = fleet();
    await etcd.sh('kube-mtls-agent mode enforce');
    await untilVerified(fleet());
    await server.sh('systemctl stop kube-mtls-server');
    backup = await server.sh(`tar -C / -cz ${KEPT} | base64 -w0`);
    await lab().kill(server.name);
  });

  step('knows its fleet again, and renews certificates that agents believe while the rollout is paused', async () => {
    const { view } = fleet();
    const server = await lab().boot('other', '10.77.0.71');
    fleet().server = server;
    await installPackage(server, 'server');
    await server.write('/root/backup', backup);
    await server.sh('base64 -d /root/backup | tar -C / -xz; systemctl enable -q --now kube-mtls-server');
    const isConnected = async () => (await server.sh('kube-mtls fleet')).includes('1 of 1 nodes online');
    await server.until('the agent to be connected', isConnected, 120_000);
    const before = (await view.component('e1', 'etcd'))?.certificates?.map(({ serial }) => serial);
    assert.ok(before !== undefined && before.length > 0);
    const pid = await pidOf(fleet().etcd);
    await server.sh('kube-mtls rollout pause');
    // two thirds of ten minutes, a tenth earlier at most
    const isRenewed = async () =>
      (await view.component('e1', 'etcd'))?.certificates?.every(({ serial }) => !before.includes(serial));
    await server.until('the certificates of etcd to be renewed', isRenewed, 600_000);
    assert.equal(await untilVerified(fleet()), pid, 'etcd was restarted');
    assert.match(await server.sh('kube-mtls fleet'), /rollout paused/);
    await server.sh('kube-mtls rollout resume');
  });

  step('lets another node join', async () => {
    const { server, view } = fleet();
    const host = await lab().boot('e2', '10.77.0.73');
    await joinNode(server, host, { role: 'worker' });
    const isThere = async () => (await server.sh('kube-mtls fleet')).includes('2 of 2 nodes online');
    await server.until('both nodes to be connected', isThere);
    assert.deepEqual((await view.node('e2')).components ?? [], []);
  });
});
