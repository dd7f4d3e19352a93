/**
 * Clocks of the server and of the agent that jump by an hour and back: by an offset of the one program, since a machine's clock belongs to
 * all of its hosts. Time that only goes forward, by which systemd and the kernel measure, goes on as before.
 */
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { describe } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { installPackages } from '../lab/debian-packages.ts';
import { onEtcdFleet, overTls, pidOf, untilVerified } from '../lab/etcd-fleet.ts';
import type { Host } from '../lab/host.ts';
import { stepsOnLab } from '../lab/steps.ts';

const FROM = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const LIBRARY = '/var/lib/offset-clock.so';
/** The offset is read from a file at every look at the clock. */
const OFFSET = '/var/lib/offset-clock';
const CLOCK = `[Service]
Environment=LD_PRELOAD=${LIBRARY} FAKETIME_TIMESTAMP_FILE=${OFFSET} FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1
`;
/** Long enough for heartbeats, a look at the node and a probe of everything. */
const JUMPED_MS = 45_000;

describe('clocks that jump by an hour', () => {
  const steps = stepsOnLab();
  const { say, prepare, step } = steps;
  const fleet = onEtcdFleet(steps);

  prepare(async () => {
    await installPackages(['libfaketime'], say);
    const { etcd, server } = fleet();
    for (const [host, unit] of [
      [server, 'kube-mtls-server'],
      [etcd, 'kube-mtls-agent'],
    ] as const) {
      await copyFile(FROM, `${host.root}${LIBRARY}`);
      await setClock(host, '+0');
      await host.write(`/etc/systemd/system/${unit}.service.d/clock.conf`, CLOCK);
      await host.sh(`systemctl daemon-reload; systemctl restart ${unit}`);
    }
  });

  async function setClock(host: Host, offset: '+0' | '+1h' | '-1h'): Promise<void> {
    await host.write(OFFSET, `${offset}\n`);
  }

  const isOnline = async () => (await fleet().server.sh('kube-mtls fleet')).includes('1 of 1 nodes online');
  const isDriving = async (offset: string, host: Host, unit: string) =>
    (await host.sh(`journalctl -q -o cat -u ${unit} -n 5`)).includes(offset);

  step(
    'of the agent, before the change: etcd is served all the time, and adopted at the latest when the clock is right',
    async () => {
      const { etcd, server, view } = fleet();
      await setClock(etcd, '+1h');
      await etcd.sh('kube-mtls-agent mode enforce');
      const anHourOn = new Date(Date.now() + 3_600_000).toISOString().slice(0, 14);
      await etcd.until('the agent to be an hour on', () =>
        isDriving(`"at":"${anHourOn.slice(0, 13)}`, etcd, 'kube-mtls-agent'),
      );
      await delay(JUMPED_MS);
      say(`an hour on: ${(await view.component('e1', 'etcd'))?.state}`);
      const plain = (await etcd.run(['curl', '-s', 'http://127.0.0.1:2379/health'])).stdout;
      if (!plain.includes('"true"')) assert.match(await etcd.sh(overTls('endpoint health 2>&1')), /is healthy/);
      await setClock(etcd, '+0');
      const { rollout } = JSON.parse(await fleet().operator.call('RolloutService/GetRollout'));
      if (rollout?.paused === true) say(`the rollout was stopped: ${rollout.reason}`);
      assert.notEqual(rollout?.paused, true);
      await untilVerified(fleet());
      await server.until('the node to be online', isOnline);
    },
  );

  for (const who of ['server', 'agent'] as const) {
    step(`of the ${who}, when etcd is VERIFIED: it stays so, and is not restarted`, async () => {
      const { etcd, server } = fleet();
      const pid = await pidOf(etcd);
      for (const offset of ['+1h', '-1h'] as const) {
        await setClock(who === 'server' ? server : etcd, offset);
        await delay(JUMPED_MS);
        assert.equal(await pidOf(etcd), pid, 'etcd was restarted');
        assert.match(await etcd.sh(overTls('endpoint health 2>&1')), /is healthy/);
      }
      await setClock(who === 'server' ? server : etcd, '+0');
      await server.until('the node to be online', isOnline, 120_000);
      assert.equal(await untilVerified(fleet()), pid, 'etcd was restarted');
    });
  }
});
