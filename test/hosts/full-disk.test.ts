/** A disk without room under the agent's state, its certificates or the server's database: nothing is disturbed, and it goes on by itself. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { untilRecovered } from '../lab/agent-deaths.ts';
import { assertPlain, onEtcdFleet, pidOf, untilVerified } from '../lab/etcd-fleet.ts';
import type { Host } from '../lab/host.ts';
import { stepsOnLab } from '../lab/steps.ts';

const AGENT_STATE = '/var/lib/kube-mtls-agent';
const CERTIFICATES = '/etc/kube-mtls';
const DATABASE = '/var/lib/kube-mtls-server';
const NO_SPACE = /ENOSPC|no space left|disk is full/i;

/** Takes all room that is left. */
const FILL = 'dd if=/dev/zero bs=4k status=none 2>/dev/null >>FOLDER/.fill || true';

/** Puts a folder on a small disk of its own and fills it up to so many KiB. The service that writes there must not run. */
async function fill(host: Host, folder: string, leftKib: number): Promise<void> {
  await host.sh(`mkdir -p ${folder}; cp -a ${folder} /root/copy; mount -t tmpfs -o size=16m,mode=$(stat -c %a ${folder}) tmpfs ${folder}
cp -a /root/copy/. ${folder}/; rm -r /root/copy
${FILL.replaceAll('FOLDER', folder)}
truncate -s $(( $(stat -c %s ${folder}/.fill) - ${leftKib * 1024} )) ${folder}/.fill`);
}

/** Gives the folder room again; it stays on its small disk. */
async function empty(host: Host, folder: string): Promise<void> {
  await host.sh(`rm -f ${folder}/.fill`);
}

/** Puts the folder back on the host's disk, with what is in it now. */
async function putBack(host: Host, folder: string): Promise<void> {
  await host.sh(`cp -a ${folder} /root/copy; umount -l ${folder}; cp -a /root/copy/. ${folder}/; rm -r /root/copy`);
}

describe('a full disk', () => {
  const steps = stepsOnLab();
  const { step } = steps;
  const fleet = onEtcdFleet(steps);

  for (const [what, folder] of [
    ["the agent's state", AGENT_STATE],
    ['the certificates', CERTIFICATES],
  ] as const) {
    for (const leftKib of [0, 12]) {
      step(`under ${what}, with ${leftKib} KiB left, disturbs no etcd and is told`, async () => {
        const { etcd } = fleet();
        await etcd.sh('kube-mtls-agent mode enforce; systemctl stop kube-mtls-agent');
        const pid = await assertPlain(etcd);
        await fill(etcd, folder, leftKib);
        const since = (await etcd.sh('date +%s')).trim();
        await etcd.sh('systemctl start kube-mtls-agent');
        const isTold = async () =>
          NO_SPACE.test(await etcd.sh(`journalctl -q -o cat -u kube-mtls-agent --since @${since}`));
        await etcd.until('the agent to tell that there is no room', isTold, 120_000);
        assert.equal(await assertPlain(etcd), pid, 'etcd was restarted');

        await etcd.sh('systemctl stop kube-mtls-agent');
        await empty(etcd, folder);
        await putBack(etcd, folder);
        await etcd.sh(`sed -i 's/"enforce"/"observe"/' ${AGENT_STATE}/enrolment.json; systemctl start kube-mtls-agent`);
        await untilRecovered(etcd);
        assert.equal(await assertPlain(etcd), pid, 'etcd was restarted');
      });
    }
  }

  step("under the server's database disturbs nothing, and the change is made when there is room", async () => {
    const { etcd, server } = fleet();
    const pid = await pidOf(etcd);
    await server.sh('systemctl stop kube-mtls-server');
    await fill(server, DATABASE, 8 * 1024);
    await server.sh('systemctl start kube-mtls-server');
    await etcd.until('the agent to be connected', async () =>
      (await server.sh('kube-mtls fleet')).includes('1 of 1 nodes online'),
    );
    await server.sh(FILL.replaceAll('FOLDER', DATABASE));
    await etcd.sh('kube-mtls-agent mode enforce');
    const isTold = (since: string) => async () =>
      NO_SPACE.test(await server.sh(`journalctl -q -o cat -u kube-mtls-server --since @${since}`));
    const isToldToNode = async () =>
      NO_SPACE.test(await etcd.sh('kube-mtls-agent status; journalctl -q -o cat -u kube-mtls-agent -n 20'));
    await etcd.until('the agent to tell that the server has no room', isToldToNode, 120_000);
    assert.equal(await assertPlain(etcd), pid, 'etcd was restarted');

    // a server that starts without room says so too
    const since = (await server.sh('date +%s')).trim();
    await server.sh('systemctl restart kube-mtls-server || true');
    await server.until('the server to tell that there is no room', isTold(since));
    assert.equal(await assertPlain(etcd), pid, 'etcd was restarted');

    await empty(server, DATABASE);
    assert.notEqual(await untilVerified(fleet()), pid);
  });
});
