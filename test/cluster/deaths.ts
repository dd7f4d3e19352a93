/** The agent of a control plane of units, killed at a checkpoint of a change of etcd and the API server, and what has to be left then. */
import assert from 'node:assert/strict';
import type { Checkpoint } from '../../agent/stage/checkpoints.ts';
import type { Host } from '../lab/host.ts';
import { READYZ } from './faults.ts';

const PKI = '/etc/kube-mtls/pki';
const DROP_IN = '/etc/systemd/system/kube-mtls-agent.service.d/crash.conf';
const OURS = `${PKI}/etcd/current ${PKI}/kube-apiserver/current /etc/kube-mtls/etcd.env \
/etc/systemd/system/{etcd,kube-apiserver}.service.d/50-kube-mtls.conf`;

/** Starts the agent in a mode so that it is killed at a checkpoint, and waits for its death. */
export async function dieAt(cp1: Host, checkpoint: Checkpoint, mode: 'enforce' | 'observe'): Promise<void> {
  await cp1.sh('systemctl stop kube-mtls-agent; systemctl reset-failed kube-mtls-agent || true');
  const environment = `Environment=KUBE_MTLS_CRASH_AT=${checkpoint}`;
  await cp1.write(DROP_IN, `[Service]\nRestart=no\n${environment}\nRuntimeDirectoryPreserve=yes\n`);
  await cp1.sh(`systemctl daemon-reload; kube-mtls-agent mode ${mode}
mkdir -p -m 0700 /run/kube-mtls-agent; touch /run/kube-mtls-agent/allow-crash-tests; systemctl start kube-mtls-agent`);
  const state = 'systemctl show -p ActiveState,Result kube-mtls-agent';
  const isDead = async () => (await cp1.sh(state)).includes('ActiveState=failed');
  await cp1.until(`the agent to die at ${checkpoint}`, isDead, 180_000);
  assert.match(await cp1.sh(state), /Result=signal/);
}

/** Starts the agent with nothing to die at; it observes, so that it recovers and begins nothing new. */
export async function recover(cp1: Host): Promise<void> {
  await cp1.sh(`rm -f ${DROP_IN} /run/kube-mtls-agent/allow-crash-tests; systemctl reset-failed kube-mtls-agent || true
systemctl daemon-reload; kube-mtls-agent mode observe; systemctl start kube-mtls-agent`);
  const changes = 'ls /var/lib/kube-mtls-agent/changes 2>/dev/null || true';
  const hasRecovered = async () =>
    (await cp1.run(['kube-mtls-agent', 'status'])).code === 0 && !(await cp1.sh(changes)).includes('20');
  await cp1.until('the agent to have recovered', hasRecovered, 120_000);
}

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
