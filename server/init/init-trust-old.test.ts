import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { loadAuthorities } from '../authority/authorities.ts';
import { type KubeadmPki, kubeadmPki } from '../authority/kubeadm-pki-for-tests.ts';
import { parseServerConfig } from '../config/server-config.ts';
import { refused, type TestMachine, testMachine } from './init-for-tests.ts';
import type { InitOptions } from './init-options.ts';
import { initReport } from './init-report.ts';

describe('init --trust-old', () => {
  let machine: TestMachine;
  let made: KubeadmPki;
  let pki: KubeadmPki;
  before(() => {
    made = kubeadmPki();
    made.leaf('apiserver', '/CN=kube-apiserver', 'DNS:kubernetes,DNS:api.example,IP:192.0.2.9');
  });
  after(() => made.remove());
  beforeEach(() => {
    machine = testMachine();
    pki = made.copy();
    for (const name of ['ca.key', 'etcd/ca.key', 'front-proxy-ca.key']) rmSync(file(name)); // never needed
  });
  afterEach(() => {
    machine.remove();
    pki.remove();
  });
  const file = (name: string) => join(pki.folder, name);
  const pin = (name: string) => parseCertificate(readFileSync(file(name))).publicKeyPin;
  const move = (options: Partial<InitOptions> = {}) =>
    machine.init({ trustOld: pki.folder, apiEndpoint: 'lb.example:6443', ...options });
  const opened = async () => {
    const rotation = await machine.withStore((store) => store.getRotation());
    const passphrase = machine.read(machine.layout.passphraseFile).trim();
    return { rotation, authorities: await loadAuthorities(machine.layout.stateFolder, passphrase, rotation) };
  };

  it('makes new CAs, trusts the old roots beside them, and begins with the phase trust', async () => {
    const result = await move();
    const { rotation, authorities } = await opened();
    assert.deepEqual([rotation.phase, rotation.automatic], ['trust', false]);
    assert.deepEqual([...rotation.authorities].sort(), ['etcd', 'front-proxy', 'kubernetes']);
    for (const [authority, name] of [
      ['kubernetes', 'ca.crt'],
      ['etcd', 'etcd/ca.crt'],
      ['front-proxy', 'front-proxy-ca.crt'],
    ] as const) {
      const [newest, old, ...more] = authorities.roots(authority);
      assert.ok(newest && old && more.length === 0);
      assert.equal(old.publicKeyPin, pin(name));
      assert.notEqual(newest.subject, old.subject);
      assert.equal(authorities.issuingPin(authority), '');
      assert.deepEqual(
        authorities.all(authority).map(({ hasKey }) => hasKey),
        [true, false],
      );
      assert.equal(authorities.imported(authority), false);
    }
    assert.equal(authorities.phase('fleet'), 'settled');
    assert.deepEqual(result.moving, ['kubernetes', 'etcd', 'front-proxy']);
    const config = parseServerConfig(machine.read(machine.layout.configFile), 'server.yaml');
    assert.deepEqual(config.apiServer.extraNames, ['api.example', '192.0.2.9']);
    const [event] = (
      await machine.withStore((store) => store.listEvents({ kind: 'authority' }, { size: 9, after: undefined }))
    ).rows;
    assert.equal(event?.kind, 'authority.rotation-started');
  });

  it('says what comes next', async () => {
    const text = initReport(await move());
    assert.match(text, /moves from its own CAs to those of this server \(kubernetes, etcd, front-proxy\)/);
    assert.match(text, /Join all its nodes.*\n\n {4}kube-mtls authority status\n {4}kube-mtls authority advance\n/);
  });

  it('moves only what the cluster has, and says what it lacks', async () => {
    rmSync(file('etcd'), { recursive: true });
    const { notes, moving } = await move();
    assert.match(notes.join('\n'), /etcd\/ca\.crt is not there/);
    assert.deepEqual(moving, ['kubernetes', 'front-proxy']);
    const { authorities } = await opened();
    assert.equal(authorities.phase('etcd'), 'settled');
    assert.equal(authorities.roots('etcd').length, 1);
  });

  it('keeps every root of a bundle', async () => {
    const bundle = readFileSync(file('ca.crt'), 'utf8') + readFileSync(file('etcd/ca.crt'), 'utf8');
    const expected = [pin('ca.crt'), pin('etcd/ca.crt')];
    writeFileSync(file('ca.crt'), bundle);
    await move();
    const { authorities } = await opened();
    assert.deepEqual(
      authorities
        .roots('kubernetes')
        .map((root) => root.publicKeyPin)
        .slice(1),
      expected,
    );
  });

  const broken: [what: string, prepare: () => unknown, options: Partial<InitOptions>, message: RegExp][] = [
    [
      'with --adopt',
      () => {},
      { adopt: '/etc/kubernetes/pki' },
      /--adopt keeps .*--trust-old replaces .*one of the two/,
    ],
    ['without a ca.crt', () => rmSync(file('ca.crt')), {}, /there is no ca\.crt in/],
    ['with a root that is none', () => writeFileSync(file('etcd/ca.crt'), 'x'), {}, /cannot trust .*etcd\/ca\.crt/],
    [
      'with a root that is no CA',
      () => pki.authority('ca', 'x', { ca: false }),
      {},
      /ca\.crt: CN=x is not a CA certificate/,
    ],
  ];
  for (const [what, prepare, options, message] of broken) {
    it(`is refused ${what}, and writes nothing`, async () => {
      await prepare();
      await assert.rejects(move(options), refused('invalid-request', message));
      assert.deepEqual(machine.snapshot(), []);
    });
  }

  it('goes on after a crash, and refuses to go on otherwise', async () => {
    const { pin: fleetPin } = await move();
    const { rotation } = await opened();
    rmSync(machine.layout.configFile);
    await assert.rejects(machine.init({ apiEndpoint: 'lb.example:6443' }), refused('conflict', /other old roots/));
    const other = kubeadmPki();
    await assert.rejects(move({ trustOld: other.folder }), refused('conflict', /other old roots/));
    other.remove();
    assert.equal((await move()).pin, fleetPin);
    assert.deepEqual((await opened()).rotation, rotation);
  });

  it('goes on where it died between the files of the roots and the record', async () => {
    await machine.init({ apiEndpoint: 'lb.example:6443' }); // all but the record is there then
    rmSync(machine.layout.configFile);
    const folder = join(machine.layout.stateFolder, 'ca');
    copyFileSync(file('ca.crt'), join(folder, `kubernetes-${pin('ca.crt').slice(7, 23)}.crt`));
    await move();
    assert.equal((await opened()).authorities.phase('kubernetes'), 'trust');
  });

  it('does no harm the second time, and is refused for another cluster', async () => {
    await move();
    const before = machine.snapshot();
    const again = await move();
    assert.equal(again.already, true);
    assert.deepEqual(again.moving, ['kubernetes', 'etcd', 'front-proxy']);
    assert.deepEqual(machine.snapshot(), before);
    const other = kubeadmPki();
    await assert.rejects(move({ trustOld: other.folder }), refused('conflict', /another kubernetes CA than/));
    other.remove();
    const empty = join(machine.root, 'empty');
    mkdirSync(empty);
    await assert.rejects(move({ trustOld: empty }), refused('invalid-request', /there is no .*\/ca\.crt/));
  });
});
