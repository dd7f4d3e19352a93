/** The power of a host is cut in the middle of a change of its etcd; etcd and the agent then start together, as systemd starts them. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { dieAt, untilRecovered } from '../lab/agent-deaths.ts';
import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { installPackage, joinLine, startServer } from '../lab/fleet.ts';
import { FleetView } from '../lab/fleet-view.ts';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';
import { stepsOnLab } from '../lab/steps.ts';

const PKI = '/etc/kube-mtls/pki/etcd/current';
const WRITTEN = 'before the power was cut';

describe('a power cut in a change of etcd', () => {
  const { lab, prepare, step, atEnd } = stepsOnLab();
  let server: Host;
  let etcd: Host;
  let operator: Operator;
  atEnd(() => operator?.close());

  prepare(async () => {
    server = await lab().boot('ps', '10.77.0.71');
    etcd = await lab().boot('pe', '10.77.0.72');
    await startPlainEtcd([etcd]);
    await etcd.sh(`ETCDCTL_API=3 etcdctl put /kept '${WRITTEN}'`);
    await startServer(server, { cluster: 'power', apiEndpoint: `${server.ip}:6443`, peerWatch: '1s' });
    operator = await Operator.of(server);
    await installPackage(etcd, 'agent');
    await etcd.sh(`${await joinLine(server, '--role etcd --node pe')} --observe`);
    await new FleetView(operator).until('pe', 'etcd', ['DETECTED'], 60_000);
  });

  /** The host boots on what was written before; its agent finds the change, and undoes it. */
  async function recoversFromPowerCut(): Promise<void> {
    await etcd.sh('kube-mtls-agent mode observe'); // so that it begins nothing new
    etcd = await lab().cutPower('pe');
    await untilRecovered(etcd);
    await etcd.until('etcd in plaintext', async () =>
      (await etcd.sh('curl -s http://127.0.0.1:2379/health')).includes('"true"'),
    );
    assert.match(await etcd.sh('ETCDCTL_API=3 etcdctl get /kept'), new RegExp(WRITTEN));
    const ours =
      'ls -d /etc/systemd/system/etcd.service.d/50-kube-mtls.conf /etc/kube-mtls/etcd.env /etc/kube-mtls/pki/etcd/current';
    const left = await etcd.run(['bash', '-c', ours]);
    assert.equal(left.stdout, '', 'something of the change is left');
  }

  for (const checkpoint of ['file-written', 'unit-restarted', 'verifying'] as const) {
    step(`at ${checkpoint} leaves etcd as it was`, async () => {
      await dieAt(etcd, checkpoint, 'enforce');
      await recoversFromPowerCut();
    });
  }

  step('at unit-restored of the undo leaves etcd as it was', async () => {
    await dieAt(etcd, 'verifying', 'enforce');
    await dieAt(etcd, 'unit-restored', 'observe');
    await recoversFromPowerCut();
  });

  step('at kept leaves etcd with mutual TLS and its data', async () => {
    await dieAt(etcd, 'kept', 'enforce');
    etcd = await lab().cutPower('pe');
    await untilRecovered(etcd);
    await new FleetView(operator).until('pe', 'etcd', ['VERIFIED'], 240_000);
    const client = `--cacert ${PKI}/client-ca.crt --cert ${PKI}/healthcheck-client.crt --key ${PKI}/healthcheck-client.key`;
    const get = `ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 ${client} get /kept`;
    assert.match(await etcd.sh(get), new RegExp(WRITTEN));
  });
});
