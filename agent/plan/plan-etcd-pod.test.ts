import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lifetimeMs } from './fake-authorities.ts';
import { FakeCluster } from './fake-cluster.ts';
import { etcd116, etcd120 } from './kubeadm-etcd-for-tests.ts';
import { applyAll, assertDone, changeOf, flagsOf, on, slotsOf, textsOf } from './plan-for-tests.ts';

const ca = '/etc/kubernetes/pki/etcd/ca.crt';
/** kubeadm's manifest without TLS. */
const plain = etcd120.replaceAll('https:', 'http:').replaceAll(/^ {4}- --.*(cert|ca|key)-(file|auth)=.*\n/gm, '');

/** A node with etcd as kubeadm's static pod. */
function pod(manifest: string, test: (cluster: FakeCluster) => Promise<void>): Promise<void> {
  return on(FakeCluster.bareControlPlane(), async (cluster) => {
    await cluster.node.addManifest('etcd.yaml', manifest);
    await cluster.node.write(ca, cluster.rootPem('etcd'));
    cluster.members = [{ id: 'a1', name: 'm1', peerUrls: ['https://10.77.0.20:2380'], clientUrls: [] }];
    await test(cluster);
  });
}

/** A change's text of the manifest. */
const manifestOf = (texts: Record<string, string>) => texts['etcd.yaml'] ?? '';

describe('planEtcd for a static pod', () => {
  it("adopts kubeadm's: flags, a mount, and nothing else", () =>
    pod(etcd120, async (cluster) => {
      const change = changeOf(await applyAll(cluster), 'etcd');
      assert.deepEqual([change.target, change.takeUp, change.uid], ['enforced', 'restart', 0]);
      assert.deepEqual(slotsOf(change), ['server', 'peer', 'healthcheck-client']);
      assert.deepEqual(Object.keys(textsOf(change)), ['etcd.yaml']);
      const text = manifestOf(textsOf(change));
      const flags = flagsOf(text);
      assert.deepEqual(
        ['cert-file', 'key-file', 'trusted-ca-file', 'peer-cert-file', 'peer-key-file', 'peer-trusted-ca-file'].map(
          (name) => flags[name],
        ),
        ['server.crt', 'server.key', 'client-ca.crt', 'peer.crt', 'peer.key', 'peer-ca.crt'],
      );
      assert.equal(flags['listen-metrics-urls'], 'http://127.0.0.1:2381');
      assert.match(text, /mountPath: \S+\/etc\/kube-mtls\/pki\/etcd\n {6}name: kube-mtls\n/);
      assert.doesNotMatch(text, /restarted-by/);
      assert.deepEqual(change.slots[0]?.ipAddresses, ['10.77.0.10', '10.77.0.20', '127.0.0.1']);
    }));

  it('renews without a restart, and marks the manifest where roots change', () =>
    pod(etcd120, async (cluster) => {
      await applyAll(cluster);
      cluster.nowMs += lifetimeMs;
      const renewal = await cluster.plan();
      assert.deepEqual([changeOf(renewal, 'etcd').takeUp, changeOf(renewal, 'etcd').files], ['live', []]);
      await cluster.apply(renewal);

      await cluster.beginRotation('etcd', false);
      const change = changeOf(await applyAll(cluster), 'etcd');
      assert.deepEqual([change.takeUp, change.files.map(({ restarts }) => restarts)], ['restart', [true]]);
      assert.match(change.files[0]?.after.text ?? '', /restarted-by: "@kube-mtls:change-id@"/);
    }));

  const suites: [what: string, suites: string, message: RegExp | undefined][] = [
    ['for neither', 'TLS_PSK_WITH_AES_128_GCM_SHA256', /cannot be told whether --cipher-suites fits RSA or ECDSA keys/],
    ['for RSA keys alone', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', undefined],
    ['for both', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', undefined],
  ];
  for (const [what, value, message] of suites) {
    it(`${message === undefined ? 'changes' : 'leaves alone'} one with cipher suites ${what}`, () =>
      pod(
        etcd120.replace('    - --name=m1\n', `    - --cipher-suites=${value}\n    - --name=m1\n`),
        async (cluster) => {
          const { changes, problems } = await cluster.plan();
          assert.equal(changes.length, message === undefined ? 1 : 0);
          if (message !== undefined) assert.match(problems[0]?.message ?? '', message);
        },
      ));
  }

  it('turns one that speaks plaintext by flags', () =>
    pod(plain, async (cluster) => {
      cluster.members = [{ id: 'a1', name: 'm1', peerUrls: ['http://10.77.0.20:2380'], clientUrls: [] }];
      const flags = flagsOf(manifestOf(textsOf(changeOf(await applyAll(cluster), 'etcd'))));
      assert.equal(flags['listen-client-urls'], 'https://127.0.0.1:2379,https://10.77.0.20:2379');
      assert.equal(flags['listen-metrics-urls'], 'http://127.0.0.1:2381');
      assert.deepEqual([flags['client-cert-auth'], flags['cert-file']], ['true', 'server.crt']);
    }));

  const probed: [what: string, from: string, to: string][] = [
    ['by port', 'port: 2381', 'port: 2379'],
    ['by the name of its port', 'port: 2381', 'port: client'],
    [
      'by a command',
      'httpGet:',
      'exec: {command: [sh, -c, etcdctl --endpoints=http://127.0.0.1:2379 get x]}\n      was:',
    ],
  ];
  for (const [what, from, to] of probed) {
    it(`leaves one alone whose probe asks the port for clients ${what}`, () =>
      pod(
        plain
          .replace(from, to)
          .replace('    name: etcd\n', '    name: etcd\n    ports: [{name: client, containerPort: 2379}]\n'),
        async (cluster) => {
          const { changes, problems } = await cluster.plan();
          assert.deepEqual(changes, []);
          assert.match(
            problems[0]?.message ?? '',
            /^its livenessProbe asks the port for clients without a certificate/,
          );
        },
      ));
  }

  it('turns one that speaks plaintext by variables, which get the new settings too', () => {
    const env =
      '    env:\n    - name: ETCD_NAME\n      value: m1\n    - name: ETCD_LISTEN_CLIENT_URLS\n      value: http://127.0.0.1:2379\n';
    const text = plain
      .replace(/( {4}- etcd\n)[\s\S]*?( {4}image)/, `$1$2`)
      .replace('    name: etcd\n', `    name: etcd\n${env}`);
    return pod(text, async (cluster) => {
      const after = manifestOf(textsOf(changeOf(await applyAll(cluster), 'etcd')));
      assert.deepEqual(flagsOf(after), {});
      assert.match(after, /- name: ETCD_LISTEN_CLIENT_URLS\n {6}value: "https:\/\/127\.0\.0\.1:2379"\n/);
      assert.match(after, /- name: ETCD_CERT_FILE\n {6}value: server\.crt\n/);
      assert.match(after, /- name: ETCD_CLIENT_CERT_AUTH\n {6}value: "true"\n/);
    });
  });

  it('edits its configuration file, for which the pod has to be restarted even when its manifest stays', () => {
    const text = plain
      .replace(/( {4}- etcd\n)[\s\S]*?( {4}image)/, '$1    - --config-file=/etc/etcd/etcd.yml\n$2')
      .replace('    - mountPath: /var', '    - {mountPath: /etc/etcd, name: c}\n    - mountPath: /var')
      .replace('  volumes:\n', '  volumes:\n  - {name: c, hostPath: {path: /etc/etcd}}\n');
    return pod(text, async (cluster) => {
      cluster.members = [{ id: 'a1', name: 'm1', peerUrls: ['http://10.77.0.20:2380'], clientUrls: [] }];
      const path = '/etc/etcd/etcd.yml';
      await cluster.node.write(path, '# ours\nname: m1\nlisten-client-urls: http://127.0.0.1:2379\n');
      const change = changeOf(await applyAll(cluster), 'etcd');
      const texts = textsOf(change);
      assert.deepEqual(Object.keys(texts), ['etcd.yml', 'etcd.yaml']);
      assert.match(texts['etcd.yml'] ?? '', /^# ours\nname: m1\nlisten-client-urls: "https:\/\/127\.0\.0\.1:2379"\n/);
      assert.match(texts['etcd.yml'] ?? '', /client-transport-security:\n {2}cert-file: server\.crt\n/);
      // somebody sets one back, and the manifest has its mount already
      const changed = (await cluster.read(path)).replace('client-cert-auth: true', 'client-cert-auth: false');
      await cluster.node.write(path, changed);
      const again = changeOf(await cluster.plan(), 'etcd');
      assert.deepEqual(Object.keys(textsOf(again)), ['etcd.yml', 'etcd.yaml']);
      assert.match(textsOf(again)['etcd.yaml'] ?? '', /restarted-by/);
    });
  });
});

describe('planEtcd while its CA changes', () => {
  it('moves from a CA whose key nobody has: roots, then leaves and the exec probe, then the old root goes', () =>
    pod(etcd116, async (cluster) => {
      await cluster.beginRotation('etcd', true);
      const trust = changeOf(await applyAll(cluster), 'etcd');
      assert.deepEqual([trust.target, trust.takeUp, slotsOf(trust)], ['trusting', 'restart', ['healthcheck-client']]);
      const trusting = manifestOf(textsOf(trust));
      const flags = flagsOf(trusting);
      assert.deepEqual([flags['trusted-ca-file'], flags['peer-trusted-ca-file']], ['client-ca.crt', 'peer-ca.crt']);
      assert.match(flags['cert-file'] ?? '', /\/etc\/kubernetes\/pki\/etcd\/server\.crt$/);
      assert.match(trusting, /--cert=\/etc\/kubernetes\/pki\/etcd\/healthcheck-client\.crt/);

      cluster.setPhase('etcd', 'reissue');
      const reissue = changeOf(await applyAll(cluster), 'etcd');
      const reissued = manifestOf(textsOf(reissue));
      assert.equal(reissue.target, 'enforced');
      assert.equal(flagsOf(reissued)['cert-file'], 'server.crt');
      assert.match(
        reissued,
        /--cacert=client-ca\.crt\n {10}--cert=healthcheck-client\.crt --key=healthcheck-client\.key\n/,
      );

      cluster.setPhase('etcd', 'drop');
      const drop = changeOf(await applyAll(cluster), 'etcd');
      assert.deepEqual([drop.takeUp, Object.keys(textsOf(drop))], ['restart', ['etcd.yaml']]);
      cluster.setPhase('etcd', 'settled');
      await assertDone(cluster);
    }));

  const open = etcd120.replaceAll(/^ {4}- --(peer-)?(trusted-ca-file|client-cert-auth)=.*\n/gm, '');
  const untouched: [what: string, manifest: string, foreign: boolean][] = [
    ['that speaks plaintext', plain, true],
    ['that speaks plaintext, also when leaves are signed', plain, false],
    ['that serves TLS to anybody', open, true],
  ];
  for (const [what, manifest, foreign] of untouched) {
    it(`leaves alone one ${what}: it trusts nobody`, () =>
      pod(manifest, async (cluster) => {
        await cluster.beginRotation('etcd', foreign);
        assert.deepEqual(await cluster.plan(), { changes: [], problems: [] });
      }));
  }

  it('leaves one alone whose leaves of ours would be lost', () =>
    pod(etcd120, async (cluster) => {
      await applyAll(cluster);
      await cluster.beginRotation('etcd', true);
      const { changes, problems } = await cluster.plan();
      assert.deepEqual([changes, problems.map(({ component }) => component)], [[], ['etcd', 'etcd']]);
      assert.match(problems[0]?.message ?? '', /server\.crt is installed/);
    }));
});
