/** kill -9 of the agent at every stage of a change that turns etcd and the API server to mutual TLS together. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { CHECKPOINTS } from '../../agent/stage/checkpoints.ts';
import { type E2e, openE2e } from '../lab/e2e.ts';
import { installPackage, joinLine } from '../lab/fleet.ts';

const PKI = '/etc/kube-mtls/pki';
const DROP_IN = '/etc/systemd/system/kube-mtls-agent.service.d/crash.conf';
/** Those of the undo take two deaths each, so a real cluster sees some of them; agent/undo/crash.test.ts walks all. */
const FORWARD = CHECKPOINTS.slice(0, CHECKPOINTS.indexOf('staging-removed')).filter(
  // these are units; and nobody watches an earlier version, there is none
  (name) => name !== 'manifest-written' && name !== 'nudge-linked' && name !== 'nudge-moved',
);
const BACK = ['undoing', 'link-restored', 'unit-restored'] as const;

describe('kill -9 of the agent', () => {
  let e2e: E2e;

  before(async () => {
    e2e = await openE2e();
    const { cp1 } = e2e;
    await installPackage(cp1, 'agent');
    await cp1.sh(`${await joinLine(e2e.cp1, '--role control-plane --node cp1')} --observe`);
    await e2e.view.until('cp1', 'kube-apiserver', ['DETECTED'], 60_000);
  });
  after(async () => {
    await e2e?.close();
  });

  /** Starts the agent in a mode so that it dies at a checkpoint, and waits for its death. */
  async function dieAt(checkpoint: string, mode: 'enforce' | 'observe'): Promise<void> {
    const { cp1 } = e2e;
    await cp1.sh('systemctl stop kube-mtls-agent; systemctl reset-failed kube-mtls-agent || true');
    await cp1.write(
      DROP_IN,
      `[Service]\nRestart=no\nEnvironment=KUBE_MTLS_CRASH_AT=${checkpoint}\nRuntimeDirectoryPreserve=yes\n`,
    );
    await cp1.sh(`systemctl daemon-reload; kube-mtls-agent mode ${mode}
mkdir -p -m 0700 /run/kube-mtls-agent; touch /run/kube-mtls-agent/allow-crash-tests; systemctl start kube-mtls-agent`);
    await cp1.until(
      `the agent to die at ${checkpoint}`,
      async () => {
        return (await cp1.sh('systemctl show -p ActiveState,Result kube-mtls-agent')).includes('ActiveState=failed');
      },
      180_000,
    );
    assert.match(await cp1.sh('systemctl show -p Result kube-mtls-agent'), /Result=signal/);
  }

  /** Starts the agent with nothing to crash at; observing, so that it recovers and begins nothing new. */
  async function recover(): Promise<void> {
    const { cp1 } = e2e;
    await cp1.sh(`rm -f ${DROP_IN} /run/kube-mtls-agent/allow-crash-tests; systemctl reset-failed kube-mtls-agent || true
systemctl daemon-reload; kube-mtls-agent mode observe; systemctl start kube-mtls-agent`);
    await cp1.until(
      'the agent to have recovered',
      async () => {
        const answer = await cp1.run(['kube-mtls-agent', 'status']);
        return (
          answer.code === 0 && !(await cp1.sh('ls /var/lib/kube-mtls-agent/changes 2>/dev/null || true')).includes('20')
        );
      },
      120_000,
    );
  }

  /** Fully new or fully old, and both up. */
  async function assertWhole(): Promise<'new' | 'old'> {
    const { cp1 } = e2e;
    const state = (
      await cp1.sh(`test -e /etc/systemd/system/kube-apiserver.service.d/50-kube-mtls.conf && echo new || echo old`)
    ).trim();
    const files = await cp1.sh(
      `ls -d ${PKI}/etcd/current ${PKI}/kube-apiserver/current /etc/kube-mtls/etcd.env /etc/systemd/system/{etcd,kube-apiserver}.service.d/50-kube-mtls.conf 2>/dev/null || true`,
    );
    assert.equal(
      files
        .trim()
        .split('\n')
        .filter((line) => line !== '').length,
      state === 'new' ? 5 : 0,
      files,
    );
    if (state === 'new') {
      await cp1.sh(
        `for c in ${PKI}/*/current/*.key; do cmp <(openssl pkey -in $c -pubout) <(openssl x509 -in \${c%.key}.crt -noout -pubkey); done`,
      );
    }
    await cp1.until(
      'the API server',
      async () =>
        (await cp1.run(['kubectl', '--kubeconfig', '/etc/kubernetes/admin.conf', 'get', '--raw', '/readyz'])).stdout ===
        'ok',
      60_000,
    );
    const url = state === 'new' ? 'https' : 'http';
    const own = `--cacert ${PKI}/etcd/current/client-ca.crt --cert ${PKI}/etcd/current/healthcheck-client.crt --key ${PKI}/etcd/current/healthcheck-client.key`;
    assert.match(await cp1.sh(`curl -s ${state === 'new' ? own : ''} ${url}://127.0.0.1:2379/health`), /"true"/);
    return state === 'new' ? 'new' : 'old';
  }

  for (const checkpoint of FORWARD.filter((name) => name !== 'kept' && name !== 'old-versions-removed')) {
    it(`at ${checkpoint} leaves the node whole`, async () => {
      await dieAt(checkpoint, 'enforce');
      await recover();
      assert.equal(await assertWhole(), 'old');
    });
  }

  for (const checkpoint of BACK) {
    it(`at ${checkpoint}, while it undoes, leaves the node whole`, async () => {
      await dieAt('verifying', 'enforce');
      await dieAt(checkpoint, 'observe');
      await recover();
      assert.equal(await assertWhole(), 'old');
    });
  }

  it('at kept leaves the node new', async () => {
    await dieAt('kept', 'enforce');
    await recover();
    assert.equal(await assertWhole(), 'new');
  });
});
