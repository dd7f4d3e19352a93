/** Hosts with a fifth of a processor, on whose disks each fsync of the server and of the agent takes half a second. */
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { describe } from 'node:test';
import { compile } from '../lab/compile.ts';
import { onEtcdFleet, untilVerified } from '../lab/etcd-fleet.ts';
import { stepsOnLab } from '../lab/steps.ts';

const LIBRARY = '/var/lib/slow-sync.so';
const SLOW = `[Service]\nEnvironment=LD_PRELOAD=${LIBRARY} SLOW_SYNC_MS=500\n`;
const VERIFIED_MS = 600_000;

describe('slow hosts', () => {
  const steps = stepsOnLab();
  const { lab, say, prepare, step } = steps;
  const fleet = onEtcdFleet(steps);

  prepare(async () => {
    const library = await compile('slow-sync.so', say);
    const { etcd, server } = fleet();
    for (const [host, unit] of [
      [server, 'kube-mtls-server'],
      [etcd, 'kube-mtls-agent'],
    ] as const) {
      await copyFile(library, `${host.root}${LIBRARY}`);
      await host.write(`/etc/systemd/system/${unit}.service.d/slow.conf`, SLOW);
      await host.sh(`systemctl daemon-reload; systemctl restart ${unit}`);
      await lab().limitProcessor(host.name, 0.2);
    }
  });

  step('adopt their etcd all the same', async () => {
    const startedMs = Date.now();
    await fleet().etcd.sh('kube-mtls-agent mode enforce');
    await untilVerified(fleet(), VERIFIED_MS);
    say(`etcd was VERIFIED after ${Math.round((Date.now() - startedMs) / 1000)} s`);
    const maps = await fleet().etcd.sh('cat /proc/$(systemctl show -p MainPID --value kube-mtls-agent)/maps');
    assert.ok(maps.includes(LIBRARY), `the agent did not load ${LIBRARY}`);
    assert.match(
      await fleet().etcd.sh('cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null || true'),
      /nr_throttled [1-9]/,
    );
    const { restarts } = (await fleet().view.component('e1', 'etcd')) ?? {};
    assert.equal(restarts, 1);
  });
});
