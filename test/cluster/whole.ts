/** What has to be left of a control plane of units whose agent was killed in a change of etcd and the API server. */
import assert from 'node:assert/strict';
import type { Host } from '../lab/host.ts';
import { READYZ } from './faults.ts';

const PKI = '/etc/kube-mtls/pki';
const OURS = `${PKI}/etcd/current ${PKI}/kube-apiserver/current /etc/kube-mtls/etcd.env \
/etc/systemd/system/{etcd,kube-apiserver}.service.d/50-kube-mtls.conf`;

/** Asserts that etcd and the API server are wholly new or wholly old, and both up, and tells which. */
export async function assertWhole(cp1: Host): Promise<'new' | 'old'> {
  const dropIn = '/etc/systemd/system/kube-apiserver.service.d/50-kube-mtls.conf';
  const state = (await cp1.run(['test', '-e', dropIn])).code === 0 ? 'new' : 'old';
  const files = (await cp1.sh(`ls -d ${OURS} 2>/dev/null || true`)).trim();
  assert.equal(files === '' ? 0 : files.split('\n').length, state === 'new' ? 5 : 0, files);
  if (state === 'new') {
    await cp1.sh(
      `for c in ${PKI}/*/current/*.key; do cmp <(openssl pkey -in $c -pubout) <(openssl x509 -in \${c%.key}.crt -noout -pubkey); done`,
    );
  }
  await cp1.until('the API server', async () => (await cp1.sh(READYZ)) === 'ok');
  const own = `${PKI}/etcd/current`;
  const client = `--cacert ${own}/client-ca.crt --cert ${own}/healthcheck-client.crt --key ${own}/healthcheck-client.key`;
  const health = state === 'new' ? `${client} https://127.0.0.1:2379/health` : 'http://127.0.0.1:2379/health';
  assert.match(await cp1.sh(`curl -s ${health}`), /"true"/);
  return state;
}
