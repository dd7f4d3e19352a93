import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { detectEtcd, etcdVariable } from './etcd.ts';
import { FakeNode, type FakeUnit } from './fake-node.ts';
import { NotUnderstood } from './not-understood.ts';

describe('detectEtcd', () => {
  let node: FakeNode;
  beforeEach(async () => {
    node = await FakeNode.create();
  });
  afterEach(() => node.remove());

  async function detect(unit: FakeUnit) {
    await node.addUnit('etcd.service', unit);
    const deps = { layout: node.layout, run: node.run, hostname: 'cp1' };
    const found = await detectEtcd(deps, 'etcd.service', new AbortController().signal);
    assert.ok(found);
    return found;
  }

  it('knows where each setting comes from', async () => {
    const { settings } = await detect({
      text: `[Service]
Environment=ETCD_NAME=%H ETCD_DATA_DIR= OTHER=1 "ARGS=-cert-file /c --peer-client-cert-auth"
ExecStart=/usr/bin/etcd $ARGS --listen-client-urls=http://127.0.0.1:2379`,
    });
    assert.deepEqual(Object.fromEntries(settings), {
      name: { value: 'cp1', from: 'environment' },
      'cert-file': { value: '/c', from: 'flag' },
      'peer-client-cert-auth': { value: 'true', from: 'flag' },
      'listen-client-urls': { value: 'http://127.0.0.1:2379', from: 'flag' },
    });
  });

  it('tells the settings without our drop-in from those in force', async () => {
    await node.write('/etc/kube-mtls/etcd.env', 'ETCD_CERT_FILE=/ours\nETCD_NAME=x\n');
    const found = await detect({
      text: '[Service]\nEnvironment=ETCD_NAME=a\nExecStart=/usr/bin/etcd\n',
      dropIns: {
        '/etc/systemd/system/etcd.service.d/50-kube-mtls.conf': '[Service]\nEnvironmentFile=/etc/kube-mtls/etcd.env\n',
      },
    });
    assert.deepEqual(Object.fromEntries(found.settings), { name: { value: 'a', from: 'environment' } });
    assert.deepEqual(Object.fromEntries(found.effectiveSettings), {
      name: { value: 'x', from: 'environment' },
      'cert-file': { value: '/ours', from: 'environment' },
    });
    assert.equal(found.environmentFilePath, node.path('/etc/kube-mtls/etcd.env'));
    assert.equal(found.environmentFile?.text, 'ETCD_CERT_FILE=/ours\nETCD_NAME=x\n');
  });

  it('asks the program for its version and names our environment file before it exists', async () => {
    node.answers.set('/usr/bin/etcd --version', { code: 0, stdout: 'etcd Version: 3.4.23\n', stderr: '' });
    const found = await detect({ text: '[Service]\nExecStart=-/usr/bin/etcd\n' });
    assert.equal(found.version, '3.4.23');
    assert.equal(found.environmentFile, undefined);
  });

  const refusals: [string, string, RegExp][] = [
    ['--config-file', 'ExecStart=/usr/bin/etcd --config-file=/etc/etcd.yaml', /--config-file/],
    ['ETCD_CONFIG_FILE', 'Environment=ETCD_CONFIG_FILE=/e\nExecStart=/usr/bin/etcd', /--config-file/],
    [
      'a flag and its variable',
      'Environment=ETCD_CERT_FILE=/a\nExecStart=/usr/bin/etcd --cert-file=/a',
      /ETCD_CERT_FILE/,
    ],
    [
      'a flag and its empty variable',
      'Environment=ETCD_CERT_FILE=\nExecStart=/usr/bin/etcd --cert-file=/a',
      /remove one/,
    ],
    ['an argument', 'ExecStart=/usr/bin/etcd --debug gateway', /"gateway"/],
  ];
  for (const [name, text, message] of refusals) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(
        detect({ text: `[Service]\n${text}\n` }),
        (error) => error instanceof NotUnderstood && message.test(error.message) && error.place.path !== '',
      );
    });
  }
  it("names a flag's variable as etcd does", () => {
    assert.equal(etcdVariable('initial-advertise-peer-urls'), 'ETCD_INITIAL_ADVERTISE_PEER_URLS');
  });
});
