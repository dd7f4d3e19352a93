import assert from 'node:assert/strict';
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { type KubeadmPki, kubeadmPki } from '../authority/kubeadm-pki-for-tests.ts';
import { type KubeletClientOrganization, parseServerConfig } from '../config/server-config.ts';
import { refused, type TestMachine, testMachine } from './init-for-tests.ts';

const names = [
  ...['kubernetes', 'kubernetes.default', 'kubernetes.default.svc', 'kubernetes.default.svc.cluster.local'],
  ...['localhost', 'CP1', 'lb.example'],
].map((name) => `DNS:${name}`);
const standard = [...names, 'IP:10.96.0.1', 'IP:127.0.0.1', 'IP:::1', 'IP:10.0.0.1'].join(',');

describe('init --adopt', () => {
  let machine: TestMachine;
  let made: KubeadmPki;
  let pki: KubeadmPki;
  before(() => {
    made = kubeadmPki();
    made.leaf('apiserver', '/CN=kube-apiserver', `${standard},DNS:api.example,IP:192.0.2.9,IP:fd00::9`);
    made.leaf('apiserver-kubelet-client', '/O=kubeadm:cluster-admins/CN=kube-apiserver-kubelet-client', '');
  });
  after(() => made.remove());
  beforeEach(() => {
    machine = testMachine();
    pki = made.copy();
  });
  afterEach(() => {
    machine.remove();
    pki.remove();
  });
  const file = (name: string) => join(pki.folder, name);
  const adopt = () => machine.init({ adopt: pki.folder, apiEndpoint: 'lb.example:6443' });
  const config = () => parseServerConfig(machine.read(machine.layout.configFile), 'server.yaml');

  it('takes the CAs over as they are, names and organization of the certificates too, and leaves the folder alone', async () => {
    const folder = ['ca.crt', 'ca.key', 'etcd/ca.key', 'apiserver.crt'].map((name) => readFileSync(file(name), 'utf8'));
    const result = await adopt();
    for (const [authority, name] of [
      ['kubernetes', 'ca.crt'],
      ['etcd', 'etcd/ca.crt'],
      ['front-proxy', 'front-proxy-ca.crt'],
    ] as const) {
      const stored = parseCertificate(machine.read(join(machine.layout.stateFolder, 'ca', `${authority}.crt`)));
      assert.deepEqual(stored.x509.raw, parseCertificate(readFileSync(file(name))).x509.raw);
      assert.match(
        machine.read(join(machine.layout.stateFolder, 'ca', `${authority}.key`)),
        /^-----BEGIN ENCRYPTED PRIVATE KEY-----/,
      );
    }
    assert.deepEqual(config().apiServer, {
      extraNames: ['api.example', '192.0.2.9', 'fd00::9'],
      kubeletClientOrganization: 'kubeadm:cluster-admins',
      adminOrganization: 'kubeadm:cluster-admins', // kubeadm gives both the same
    });
    assert.deepEqual(
      result.authorities.map(({ authority, imported }) => [authority, imported]),
      [
        ['fleet', false],
        ['kubernetes', true],
        ['etcd', true],
        ['front-proxy', true],
      ],
    );
    assert.deepEqual(
      result.looseKeys.map(({ path }) => path),
      ['ca.key', 'etcd/ca.key', 'front-proxy-ca.key'].map(file),
    );
    assert.match(result.notes.join(), /keep these names of .*apiserver\.crt: api\.example, 192\.0\.2\.9, fd00::9/);
    const after = ['ca.crt', 'ca.key', 'etcd/ca.key', 'apiserver.crt'].map((name) => readFileSync(file(name), 'utf8'));
    assert.deepEqual(after, folder);
  });

  const organizations: [subject: string, expected: KubeletClientOrganization, note: RegExp | undefined][] = [
    ['/O=system:masters/CN=x', 'system:masters', undefined],
    ['/CN=x', 'none', undefined],
    ['/O=ops/CN=x', 'system:masters', /organization "ops", which is not taken over/],
    ['/O=system:masters/O=ops/CN=x', 'system:masters', /organization "system:masters, ops"/],
  ];
  for (const [subject, expected, note] of organizations) {
    it(`makes of the kubelet client ${subject} the organization ${expected}`, async () => {
      pki.leaf('apiserver', '/CN=kube-apiserver', standard);
      pki.leaf('apiserver-kubelet-client', subject, '');
      const result = await adopt();
      assert.deepEqual(config().apiServer, {
        extraNames: [],
        kubeletClientOrganization: expected,
        adminOrganization: 'system:masters',
      });
      const notes = result.notes.filter((each) => !each.includes('no user'));
      assert.equal(notes.length, note === undefined ? 0 : 1);
      if (note !== undefined) assert.match(notes.join(), note);
    });
  }

  it('says which certificates it did not find, and which names it cannot take', async () => {
    rmSync(file('apiserver-kubelet-client.crt'));
    pki.leaf('apiserver', '/CN=kube-apiserver', 'DNS:kubernetes.default.svc.cluster.local.,DNS:*.lb.example');
    const { notes } = await adopt();
    assert.match(notes.join('\n'), /there is no .*apiserver-kubelet-client\.crt/);
    assert.match(notes.join('\n'), /a name in .*apiserver\.crt is not taken over: .*cluster\.local\.".*malformed/);
    assert.deepEqual(config().apiServer.extraNames, ['*.lb.example']);
    machine.remove();
    machine = testMachine();
    rmSync(file('apiserver.crt'));
    assert.match((await adopt()).notes.join('\n'), /there is no .*apiserver\.crt: add names/);
  });

  const broken: [what: string, prepare: () => unknown, message: RegExp][] = [
    ['without the key of a CA', () => rmSync(file('etcd/ca.key')), /etcd\/ca\.key: it is missing/],
    [
      'without any CA',
      () => [rmSync(file('ca.crt')), rmSync(file('ca.key'))],
      /there is no .*\/ca\.crt: give the folder/,
    ],
    [
      'with the key of another CA',
      () => copyFileSync(file('etcd/ca.key'), file('ca.key')),
      /\/ca\.key: it is not the key/,
    ],
    [
      'with a CA that is none',
      () => pki.authority('front-proxy-ca', 'x', { ca: false }),
      /front-proxy-ca\.crt: .*not a CA/,
    ],
    ['with a damaged certificate', () => writeFileSync(file('apiserver.crt'), 'x'), /adopt .*apiserver\.crt: /],
    ['with an expired CA', () => machine.clock.advance(3651 * 86_400_000), /\/ca\.crt: it ends .*renew the CA/],
  ];
  for (const [what, prepare, message] of broken) {
    it(`refuses a folder ${what}, and writes nothing`, async () => {
      await prepare();
      await assert.rejects(adopt(), refused('invalid-request', message));
      assert.deepEqual(machine.snapshot(), []);
    });
  }

  it('goes on after a crash, and refuses to mix in another cluster', async () => {
    const { pin } = await adopt();
    rmSync(machine.layout.configFile);
    rmSync(join(machine.layout.stateFolder, 'ca/authorities.json'));
    rmSync(join(machine.layout.stateFolder, 'ca/etcd.crt'));
    const other = kubeadmPki();
    const before = machine.snapshot();
    const mixed = machine.init({ adopt: other.folder, apiEndpoint: 'lb.example:6443' });
    await assert.rejects(mixed, refused('conflict', /another kubernetes CA than/));
    other.remove();
    assert.deepEqual(machine.snapshot(), before);
    assert.equal((await adopt()).pin, pin);
    const stored = parseCertificate(machine.read(join(machine.layout.stateFolder, 'ca/etcd.crt')));
    assert.equal(stored.sha256, parseCertificate(readFileSync(file('etcd/ca.crt'))).sha256);
  });

  it('does no harm the second time, also when the keys were taken away and the certificates renewed', async () => {
    await adopt();
    for (const name of ['ca.key', 'etcd/ca.key', 'front-proxy-ca.key', 'apiserver.crt']) rmSync(file(name));
    const before = machine.snapshot();
    const { already, looseKeys } = await adopt();
    assert.deepEqual([already, looseKeys], [true, []]);
    assert.deepEqual(machine.snapshot(), before);
  });

  it('is refused on a server with other CAs, and without CAs to compare', async () => {
    await machine.init({ apiEndpoint: 'lb.example:6443' });
    const before = machine.snapshot();
    await assert.rejects(adopt(), refused('conflict', /another kubernetes CA than the one in .*\/ca\.crt/));
    rmSync(file('ca.crt'));
    await assert.rejects(adopt(), refused('invalid-request', /there is no .*\/ca\.crt/));
    assert.deepEqual(machine.snapshot(), before);
    assert.equal(existsSync(file('ca.key')), true);
  });
});
