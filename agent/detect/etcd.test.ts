import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { EtcdSetting } from './detected.ts';
import { detectEtcd, etcdVariable } from './etcd.ts';
import { passedOver } from './etcd-config.ts';
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
    const found = await detectEtcd(node.processDeps('cp1'), new AbortController().signal);
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

  it("follows Debian's unit and its variables", async () => {
    await node.write('/etc/default/etcd', 'ETCD_LISTEN_CLIENT_URLS="http://10.0.0.1:2379"\nDAEMON_ARGS="--debug"\n');
    const found = await detect({
      fragmentPath: '/lib/systemd/system/etcd.service',
      user: 'etcd',
      text: `[Service]
Environment=DAEMON_ARGS=
Environment=ETCD_NAME=%H
Environment=ETCD_DATA_DIR=/var/lib/etcd/default
EnvironmentFile=-/etc/default/%p
Type=notify
User=etcd
#ExecStart=/bin/sh -c "GOMAXPROCS=$(nproc) /usr/bin/etcd $DAEMON_ARGS"
ExecStart=/usr/bin/etcd $DAEMON_ARGS
[Install]
WantedBy=multi-user.target
Alias=etcd2.service
`,
    });
    assert.deepEqual(
      [...found.settings].map(([name, { value, from }]) => `${name}=${value} ${from}`),
      [
        'name=cp1 environment',
        'data-dir=/var/lib/etcd/default environment',
        'listen-client-urls=http://10.0.0.1:2379 environment',
        'debug=true flag',
      ],
    );
    assert.equal(found.process.uid, 107);
  });

  it("follows upstream's unit (contrib/systemd/etcd.service), which names the member by the machine", async () => {
    await node.write('/etc/machine-id', '0123456789abcdef0123456789abcdef\n');
    const found = await detect({
      fragmentPath: '/usr/lib/systemd/system/etcd.service',
      user: 'etcd',
      text: `[Unit]
Description=etcd key-value store
After=network-online.target local-fs.target remote-fs.target time-sync.target

[Service]
User=etcd
Type=notify
Environment=ETCD_DATA_DIR=/var/lib/etcd
Environment=ETCD_NAME=%m
ExecStart=/usr/bin/etcd
Restart=always
RestartSec=10s
LimitNOFILE=40000
`,
    });
    assert.equal(found.settings.get('name')?.value, '0123456789abcdef0123456789abcdef');
  });

  const CONFIG = `# etcd
name: 'n1'
listen-client-urls: https://10.0.0.1:2379
heartbeat-interval: 100
strict-reconfig-check: yes
log-outputs: [stderr, /var/log/etcd]
proxy:
discovery: ''
discovery-endpoints: http://nobody:2379
experimental: {x: 1}
cert-file: /nobody.crt
key-file: /nobody.key
client-cert-auth: true
trusted-ca-file: /nobody-ca.crt
auto-tls: true
client-cert-allowed-hostname: nobody
peer-cert-file: /nobody.crt
peer-client-cert-auth: true
peer-trusted-ca-file: /nobody-ca.crt
peer-cert-allowed-cn: nobody
client-transport-security:
  cert-file: /c.crt
  client-cert-auth: on
  allowed-hostname: [a, b]
  unknown: 1
peer-transport-security:
  trusted-ca-file: /ca.crt
  auto-tls: false
  allowed-cn: etcd
`;
  const FROM_FILE = [
    'name=n1 file',
    'listen-client-urls=https://10.0.0.1:2379 file',
    'heartbeat-interval=100 file',
    'strict-reconfig-check=true file',
    'log-outputs=stderr,/var/log/etcd file',
    'cert-file=/c.crt file',
    'client-cert-auth=true file',
    'client-cert-allowed-hostname=a,b file',
    'peer-trusted-ca-file=/ca.crt file',
    'peer-auto-tls=false file',
    'peer-cert-allowed-cn=etcd file',
  ];
  const lines = (settings: ReadonlyMap<string, EtcdSetting>) =>
    [...settings].map(([name, { value, from }]) => `${name}=${value} ${from}`);
  for (const [name, service] of [
    ['--config-file', 'ExecStart=/usr/bin/etcd --config-file /etc/etcd.yml --name=ignored'],
    ['ETCD_CONFIG_FILE', 'Environment=ETCD_CONFIG_FILE=/etc/etcd.yml ETCD_NAME=ignored\nExecStart=/usr/bin/etcd'],
    [
      '--config-file before its variable, which are no conflict',
      'Environment=ETCD_CONFIG_FILE=/other\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml',
    ],
  ] as const) {
    it(`takes all settings from ${name}`, async () => {
      await node.write('/etc/etcd.yml', CONFIG);
      const found = await detect({ text: `[Service]\n${service}\n` });
      assert.deepEqual(lines(found.settings), FROM_FILE);
      assert.deepEqual(found.effectiveSettings, found.settings);
      assert.equal(found.configFile?.path, node.path('/etc/etcd.yml'));
      assert.equal(found.configFile.text, CONFIG);
    });
  }
  it('tells what stands at the top of a configuration file though etcd reads it in a section only', async () => {
    const text =
      'name: a\ntrusted-ca-file: /ca\npeer-client-cert-auth: true\npeer-transport-security: {cert-file: /c}\n';
    await node.write('/etc/etcd.yml', text);
    const { configFile } = await detect({ text: '[Service]\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n' });
    assert.ok(configFile !== undefined);
    const top = `at the top of ${configFile.path} counts for nothing: etcd reads`;
    assert.deepEqual(passedOver(configFile), [
      `trusted-ca-file ${top} trusted-ca-file of client-transport-security`,
      `peer-client-cert-auth ${top} client-cert-auth of peer-transport-security`,
    ]);
  });
  for (const [name, text, line] of [
    ['no mapping', '- a\n', 1],
    ['a section that is no mapping', 'name: a\nclient-transport-security: [a]\n', 2],
    ['a value that is a mapping', 'peer-transport-security:\n  cert-file: {a: b}\n', 2],
    ['a key twice', 'name: a\nname: b\n', 2],
    ['a section in capitals, which etcd reads too', 'name: a\nClient-Transport-Security: {cert-file: /c}\n', 2],
    ['a key of a section in capitals', 'client-transport-security:\n  Client-Cert-Auth: true\n', 2],
    ['a setting in capitals', 'name: a\nListen-Client-URLs: http://10.0.0.1:2379\n', 2],
    [
      'a section that takes keys from elsewhere',
      'x: &tls {client-cert-auth: true}\nclient-transport-security:\n  <<: *tls\n',
      3,
    ],
    ['keys from elsewhere at its top', '<<: {client-transport-security: {client-cert-auth: true}}\n', 1],
  ] as const) {
    it(`refuses a configuration file with ${name} and names the line`, async () => {
      await node.write('/etc/etcd.yml', text);
      await assert.rejects(
        detect({ text: '[Service]\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yml\n' }),
        (error) => {
          assert.ok(error instanceof NotUnderstood, String(error));
          assert.deepEqual([error.place.path, error.place.line], [node.path('/etc/etcd.yml'), line], error.message);
          return true;
        },
      );
    });
  }
  it('refuses a drop-in of ours that somebody gave another --config-file', async () => {
    await node.write('/etc/etcd.yml', CONFIG);
    const detected = detect({
      text: '[Service]\nExecStart=/usr/bin/etcd\n',
      dropIns: {
        '/etc/systemd/system/etcd.service.d/50-kube-mtls.conf':
          '[Service]\nEnvironment=ETCD_CONFIG_FILE=/etc/etcd.yml\n',
      },
    });
    await assert.rejects(detected, /changes --config-file/);
  });

  const refusals: [string, string, RegExp][] = [
    ['a missing --config-file', 'ExecStart=/usr/bin/etcd --config-file=/etc/etcd.yaml', /no such file/],
    ['a relative ETCD_CONFIG_FILE', 'Environment=ETCD_CONFIG_FILE=e\nExecStart=/usr/bin/etcd', /no absolute path/],
    [
      "upstream's wrapper in a shell",
      'ExecStart=/bin/bash -c "GOMAXPROCS=$(nproc) /usr/bin/etcd"',
      /runs \/bin\/bash and not etcd itself/,
    ],
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
