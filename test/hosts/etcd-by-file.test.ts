/** An etcd that takes its settings out of a file. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { ETCD_FILE, startEtcdByFile } from '../lab/etcd-cluster.ts';
import { onEtcdFleet, untilVerified } from '../lab/etcd-fleet.ts';
import { stepsOnLab } from '../lab/steps.ts';

describe('an etcd with --config-file', () => {
  const steps = stepsOnLab();
  const fleet = onEtcdFleet(steps, { start: startEtcdByFile });

  steps.step('is left alone while its gateway is off, with the advice what to add', async () => {
    const { etcd } = fleet();
    const { code, stdout } = await etcd.run(['kube-mtls-agent', 'plan']);
    assert.equal(code, 3, stdout);
    assert.match(stdout, /\/etc\/etcd\/etcd\.yaml.*add "enable-grpc-gateway: true" to the file and restart etcd/s);
    await etcd.sh(`echo 'enable-grpc-gateway: true' >>${ETCD_FILE}; systemctl restart etcd`);
  });

  steps.step('becomes mutual TLS in its file, whose comments and other settings stay', async () => {
    const { etcd } = fleet();
    await etcd.sh('kube-mtls-agent mode enforce');
    await untilVerified(fleet());
    const file = await etcd.read(ETCD_FILE);
    assert.match(file, /^# etcd of e1, as the guide has it$/m);
    assert.match(file, /^data-dir: \/var\/lib\/etcd\/default$/m);
    assert.match(file, /^listen-client-urls: .*https:\/\/127\.0\.0\.1:2379.* # both are needed$/m);
    assert.doesNotMatch(file, /http:\/\//);
    assert.match(file, /client-cert-auth: true/);
    assert.equal((await etcd.run(['curl', '-s', '-m', '5', 'http://127.0.0.1:2379/health'])).stdout, '');
  });
});
