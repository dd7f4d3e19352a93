import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { before, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import { type Authority, type Profile, profiles, type Role, roles } from '../../common/names/names.ts';
import type { ParsedCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import type { Authorities } from '../authority/authorities.ts';
import { sampleNode } from '../store/store-contract.ts';
import {
  approveAdmin,
  approveCertificate,
  approveIdentity,
  approveServer,
  type CertificateWish,
  isApproval,
  type PolicyContext,
} from './approve.ts';
import { newCsr, sampleAuthorities, sampleConfig, startMs } from './policy-for-tests.ts';

const dayMs = 86_400_000;
const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

const cp1 = sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1', 'fd00::1'] });
const w1 = sampleNode({ name: 'w1', role: 'worker', addresses: ['10.0.0.11'] });
const e1 = sampleNode({ name: 'e1', role: 'etcd', addresses: ['10.0.0.21'] });
const nodeOf: Record<Role, typeof cp1> = { 'control-plane': cp1, worker: w1, etcd: e1 };

describe('policy', () => {
  let authorities: Authorities;
  let csr: ParsedCsr;
  let context: PolicyContext;
  before(async () => {
    authorities = await sampleAuthorities();
    csr = await newCsr();
    context = { config: sampleConfig(), authorities, nowMs: startMs };
  });
  const approve = (wish: Partial<CertificateWish>, more = '') =>
    approveCertificate(
      { node: cp1, profile: 'kube-apiserver-serving', csr, keyHolder: undefined, ...wish },
      { ...context, config: sampleConfig(more) },
    ).fields;

  describe('gives a role its profiles and no others', () => {
    const may: Record<Role, readonly Profile[]> = {
      'control-plane': profiles.all,
      worker: ['kubelet-serving', 'kubelet-client', 'probe-client', 'kube-proxy-client'],
      etcd: ['etcd-server', 'etcd-peer', 'etcd-healthcheck-client'],
    };
    for (const role of roles.all) {
      for (const profile of profiles.all) {
        const allowed = may[role].includes(profile);
        it(`${allowed ? 'approves' : 'refuses'} ${profile} for ${role}`, () => {
          if (allowed) assert.equal(approve({ node: nodeOf[role], profile }).profile, profile);
          else assert.throws(() => approve({ node: nodeOf[role], profile }), refused('policy-refused', /gets no /));
        });
      }
    }
  });

  describe('fixes everything by the profile', () => {
    const serviceDns = [
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
    ];
    const rows: [Profile, Authority, cn: string, o: string[], usages: string[], dns: string[], ips: string[]][] = [
      [
        'kube-apiserver-serving',
        'kubernetes',
        'kube-apiserver',
        [],
        ['server'],
        ['cp1', ...serviceDns, 'lb.example', 'localhost'],
        ['10.0.0.1', '10.96.0.1', '127.0.0.1', 'fd00::1'],
      ],
      [
        'kube-apiserver-kubelet-client',
        'kubernetes',
        'kube-apiserver-kubelet-client',
        ['system:masters'],
        ['client'],
        [],
        [],
      ],
      ['kube-apiserver-etcd-client', 'etcd', 'kube-apiserver-etcd-client', [], ['client'], [], []],
      ['front-proxy-client', 'front-proxy', 'front-proxy-client', [], ['client'], [], []],
      [
        'etcd-server',
        'etcd',
        'cp1',
        [],
        ['server', 'client'],
        ['cp1', 'localhost'],
        ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1'],
      ],
      [
        'etcd-peer',
        'etcd',
        'cp1',
        [],
        ['server', 'client'],
        ['cp1', 'localhost'],
        ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1'],
      ],
      ['etcd-healthcheck-client', 'etcd', 'kube-etcd-healthcheck-client', [], ['client'], [], []],
      [
        'kubelet-serving',
        'kubernetes',
        'system:node:cp1',
        ['system:nodes'],
        ['server'],
        ['cp1'],
        ['10.0.0.1', '127.0.0.1', 'fd00::1'],
      ],
      ['kubelet-client', 'kubernetes', 'system:node:cp1', ['system:nodes'], ['client'], [], []],
      ['probe-client', 'kubernetes', 'kube-mtls:probe:cp1', [], ['client'], [], []],
      [
        'kube-controller-manager-serving',
        'kubernetes',
        'kube-controller-manager',
        [],
        ['server'],
        ['cp1', 'localhost'],
        ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1'],
      ],
      ['kube-controller-manager-client', 'kubernetes', 'system:kube-controller-manager', [], ['client'], [], []],
      [
        'kube-scheduler-serving',
        'kubernetes',
        'kube-scheduler',
        [],
        ['server'],
        ['cp1', 'localhost'],
        ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1'],
      ],
      ['kube-scheduler-client', 'kubernetes', 'system:kube-scheduler', [], ['client'], [], []],
      ['kube-proxy-client', 'kubernetes', 'system:kube-proxy', [], ['client'], [], []],
      ['admin-client', 'kubernetes', 'kubernetes-admin', ['system:masters'], ['client'], [], []],
      ['super-admin-client', 'kubernetes', 'kubernetes-super-admin', ['system:masters'], ['client'], [], []],
    ];
    it('has a row for each profile', () => {
      assert.deepEqual(
        rows.map(([profile]) => profile),
        profiles.all,
      );
    });
    for (const [profile, authority, commonName, organizations, usages, dnsNames, ipAddresses] of rows) {
      it(profile, () => {
        const fields = approve({ profile });
        assert.deepEqual(
          {
            authority: fields.authority,
            holder: fields.holder,
            commonName: fields.commonName,
            organizations: fields.organizations,
            usages: fields.usages,
            dnsNames: fields.dnsNames,
            ipAddresses: fields.ipAddresses,
            uris: fields.uris,
          },
          {
            authority,
            holder: 'cp1',
            commonName,
            organizations,
            usages,
            dnsNames: [...dnsNames].sort(),
            ipAddresses: [...ipAddresses].sort(),
            uris: [],
          },
        );
        assert.equal(fields.publicKey, csr.publicKey);
        assert.deepEqual(fields.notBefore, new Date(startMs - 5 * 60_000));
        assert.deepEqual(fields.notAfter, new Date(startMs + 365 * dayMs));
      });
    }
  });

  it('gives administrators the organization that the cluster binds', () => {
    const config = 'apiServer: {adminOrganization: "kubeadm:cluster-admins"}';
    assert.deepEqual(approve({ profile: 'admin-client' }, config).organizations, ['kubeadm:cluster-admins']);
    assert.deepEqual(approve({ profile: 'super-admin-client' }, config).organizations, ['system:masters']);
  });

  it('refuses a key that another holder has, and takes the one of the node itself', () => {
    assert.throws(() => approve({ keyHolder: 'w1' }), refused('policy-refused', /in use by another holder/));
    assert.equal(approve({ keyHolder: 'cp1' }).holder, 'cp1');
    const wish = { node: w1, csr, keyHolder: 'admin/root' };
    assert.throws(() => approveIdentity(wish, context), refused('policy-refused', /in use by another/));
  });

  it('gives a revoked node nothing', () => {
    const node = { ...cp1, revoked: true };
    for (const profile of profiles.all) assert.throws(() => approve({ node, profile }), refused('node-revoked', /cp1/));
    assert.throws(() => approveIdentity({ node, csr, keyHolder: undefined }, context), refused('node-revoked', /cp1/));
  });

  for (const [name, address] of [
    ['lb.example', '10.0.0.11'],
    ['api.example', '10.0.0.11'],
    ['w1', '10.96.0.1'],
    ['w1', '192.0.2.9'],
  ] as const) {
    it(`gives a worker called ${name} at ${address} no certificate with which it could pose as the API server`, () => {
      const node = sampleNode({ name, addresses: [address] });
      const config = 'apiServer: {extraNames: [api.example, "192.0.2.9"]}';
      assert.throws(
        () => approve({ node, profile: 'kubelet-serving' }, config),
        refused('policy-refused', /name of the API server/),
      );
      assert.equal(approve({ node, profile: 'kubelet-client' }, config).holder, name);
    });
  }

  describe('bounds the time', () => {
    it('by the lifetime of the profile', () => {
      const config = 'lifetimes: {components: 90d, identity: 1d, profiles: {kubelet-client: 10m}}';
      assert.deepEqual(approve({}, config).notAfter, new Date(startMs + 90 * dayMs));
      assert.deepEqual(approve({ profile: 'kubelet-client' }, config).notAfter, new Date(startMs + 600_000));
      const identity = approveIdentity(
        { node: w1, csr, keyHolder: undefined },
        { ...context, config: sampleConfig(config) },
      );
      assert.deepEqual(identity.fields.notAfter, new Date(startMs + dayMs));
    });

    it('by the end of the CA', async () => {
      const short = { ...context, authorities: await sampleAuthorities(100) };
      const wish = { node: cp1, profile: 'etcd-peer', csr, keyHolder: undefined } as const;
      assert.deepEqual(approveCertificate(wish, short).fields.notAfter, new Date(startMs + 100 * dayMs));
      const late = { ...short, nowMs: startMs + 100 * dayMs - 599_000 };
      assert.throws(() => approveCertificate(wish, late), refused('policy-refused', /the etcd CA ends 2026-04-11/));
    });

    it('in whole seconds', () => {
      const wish = { node: cp1, profile: 'etcd-peer', csr, keyHolder: undefined } as const;
      const { fields } = approveCertificate(wish, { ...context, nowMs: startMs + 777 });
      assert.equal(fields.notBefore.getTime() % 1000, 0);
      assert.equal(fields.notAfter.getTime() % 1000, 0);
    });
  });

  describe('of the fleet CA', () => {
    it('approves no weak key, whoever brings it', () => {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
      const weak = refused('invalid-request', /1024 bits/);
      assert.throws(() => approveAdmin({ name: 'root', publicKey }, context), weak);
      assert.throws(() => approveServer({ hostname: 'cp1', publicKey }, context), weak);
    });

    it('makes identities for clients only, named by URI', () => {
      const { fields } = approveIdentity({ node: w1, csr, keyHolder: 'w1' }, context);
      assert.equal(fields.authority, 'fleet');
      assert.deepEqual(fields.usages, ['client']);
      assert.deepEqual(fields.uris, ['spiffe://lab/node/w1']);
      assert.deepEqual([...fields.dnsNames, ...fields.ipAddresses, ...fields.organizations], []);
      assert.deepEqual(fields.notAfter, new Date(startMs + 30 * dayMs));
    });

    it('makes administrators, for clients only', async () => {
      const { publicKey } = await generateKey('ecdsa-p256');
      const { fields } = approveAdmin({ name: 'root', publicKey }, context);
      assert.deepEqual(
        [fields.holder, fields.uris, fields.usages],
        ['admin/root', ['spiffe://lab/admin/root'], ['client']],
      );
      for (const name of ['', 'a/b', 'Root', 'a b', '-a']) {
        assert.throws(() => approveAdmin({ name, publicKey }, context), refused('policy-refused', /no name/));
      }
    });

    it('makes the certificate of the server, for servers only, with every name it is reached at', async () => {
      const { publicKey } = await generateKey('ecdsa-p256');
      const { fields } = approveServer({ hostname: 'CP1', publicKey }, context);
      assert.deepEqual(fields.dnsNames, ['ca.example', 'cp1', 'localhost']);
      assert.deepEqual(fields.ipAddresses, ['10.0.0.1', '127.0.0.1', '::1']);
      assert.deepEqual([fields.holder, fields.uris, fields.usages], ['server', ['spiffe://lab/server'], ['server']]);
    });
  });

  it('alone makes approvals: a look-alike is none, and one cannot be changed', () => {
    const approval = approveIdentity({ node: w1, csr, keyHolder: undefined }, context);
    assert.equal(isApproval(approval), true);
    assert.equal(isApproval({ fields: approval.fields }), false);
    assert.equal(
      isApproval(Object.create(Object.getPrototypeOf(approval), { fields: { value: approval.fields } })),
      false,
    );
    assert.throws(() => approval.fields.dnsNames.push('kubernetes'), TypeError);
    assert.throws(() => Object.assign(approval.fields, { commonName: 'x' }), TypeError);
  });
});
