/** Three hosts with one plaintext etcd cluster, which becomes mutual TLS member by member. */

import { startPlainEtcd } from '../lab/etcd-cluster.ts';
import { joinNode, startServer } from '../lab/fleet.ts';
import type { Host } from '../lab/host.ts';
import type { Lab } from '../lab/lab.ts';
import { showFleet, waitForFleet } from './show-fleet.ts';

/** Runs it; true when every component was verified. */
export async function runEtcdDemo(lab: Lab, say: (text: string) => void): Promise<boolean> {
  const addresses = { e1: '10.77.0.11', e2: '10.77.0.12', e3: '10.77.0.13' };
  const hosts: Host[] = [];
  for (const [name, ip] of Object.entries(addresses)) hosts.push(await lab.boot(name, ip));
  const [server] = hosts;
  if (server === undefined) throw new Error('no host');
  say('starting a plaintext etcd cluster of three members');
  await startPlainEtcd(hosts);
  await server.sh('ETCDCTL_API=3 etcdctl put /demo "written in plaintext"');
  say('installing and starting the CA server on e1');
  const printed = await startServer(server, { cluster: 'demo', apiEndpoint: `${server.ip}:6443` });
  console.log(printed.replace(/^/gm, '        '));
  for (const host of hosts) {
    say(`joining ${host.name}`);
    await joinNode(server, host, { role: host === server ? 'control-plane' : 'etcd' });
  }
  const good = await waitForFleet(server, { e1: 1, e2: 1, e3: 1 }, say, 180_000);
  await showFleet(server);
  if (good) await proveByHand(server, say);
  return good;
}

/** What an operator would try first. */
async function proveByHand(host: Host, say: (text: string) => void): Promise<void> {
  const plain = await host.run(['curl', '-s', '-m', '5', 'http://127.0.0.1:2379/health']);
  say(`plaintext to etcd on e1: ${plain.stdout.trim() || `refused (curl ${plain.code})`}`);
  const bare = await host.run(['curl', '-sk', '-m', '5', 'https://127.0.0.1:2379/health']);
  say(`TLS without a client certificate: ${bare.stdout.trim() || `refused (curl ${bare.code})`}`);
  const pki = '/etc/kube-mtls/pki/etcd/current';
  const read = await host.sh(
    `ETCDCTL_API=3 etcdctl --endpoints https://${host.ip}:2379 --cacert ${pki}/client-ca.crt --cert ${pki}/healthcheck-client.crt --key ${pki}/healthcheck-client.key get /demo`,
  );
  say(`with a certificate of the etcd CA: ${read.trim().replace('\n', ' = ')}`);
}
