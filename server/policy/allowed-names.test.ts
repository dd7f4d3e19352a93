import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { AppError, type Reason } from '../../common/errors/app-error.ts';
import type { ParsedCsr } from '../../common/x509/csr.ts';
import type { Authorities } from '../authority/authorities.ts';
import { sampleNode } from '../store/store-contract.ts';
import { approveCertificate, type CertificateWish } from './approve.ts';
import { newCsr, sampleAuthorities, sampleConfig, startMs } from './policy-for-tests.ts';

const refused = (reason: Reason, text: RegExp) => (error: unknown) =>
  error instanceof AppError && error.reason === reason && text.test(error.message);

const cp1 = sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1', 'fd00::1'] });
const w1 = sampleNode({ name: 'w1', role: 'worker', addresses: ['10.0.0.11'] });

describe('names of certificates', () => {
  let authorities: Authorities;
  let csr: ParsedCsr;
  before(async () => {
    authorities = await sampleAuthorities();
    csr = await newCsr();
  });
  const approve = (wish: Partial<CertificateWish>, more = '') =>
    approveCertificate(
      { node: cp1, profile: 'kube-apiserver-serving', csr, keyHolder: undefined, ...wish },
      { authorities, nowMs: startMs, config: sampleConfig(more) },
    ).fields;

  it('takes names from the configuration: the endpoint as address, the service network, the domain, further names', () => {
    const config = `apiServer: {extraNames: [api.example, "192.0.2.9"], kubeletClientOrganization: none}
etcd: {extraNames: [etcd.example, "192.0.2.8"]}`;
    const serving = approve({}, config);
    assert.ok(serving.dnsNames.includes('api.example') && serving.ipAddresses.includes('192.0.2.9'));
    const peer = approve({ profile: 'etcd-peer' }, config);
    assert.ok(peer.dnsNames.includes('etcd.example') && peer.ipAddresses.includes('192.0.2.8'));
    assert.ok(!peer.dnsNames.includes('api.example') && !serving.dnsNames.includes('etcd.example'));
    assert.deepEqual(approve({ profile: 'kube-apiserver-kubelet-client' }, config).organizations, []);
  });

  it('gives all allowed names, whichever of them the request asks for', async () => {
    const asked = await newCsr({ dnsNames: ['cp1', 'kubernetes'], ipAddresses: ['10.0.0.1'] });
    assert.deepEqual(approve({ csr: asked }).dnsNames, approve({}).dnsNames);
  });

  describe('refuses names beyond the allowed ones, naming them and where to allow them', () => {
    const rows: [
      what: string,
      wish: Partial<CertificateWish>,
      names: { dnsNames?: string[]; ipAddresses?: string[] },
      text: RegExp,
    ][] = [
      [
        'a foreign name',
        {},
        { dnsNames: ['cp1', 'evil.example'] },
        /asks for evil\.example, beyond .*apiServer\.extraNames in server\.yaml/,
      ],
      ['a wildcard', {}, { dnsNames: ['*.default.svc'] }, /asks for \*\.default\.svc/],
      ['a foreign address', {}, { ipAddresses: ['10.0.0.99'] }, /asks for 10\.0\.0\.99/],
      [
        'an etcd name',
        { profile: 'etcd-peer' },
        { dnsNames: ['e2'] },
        /asks for e2, .*etcd\.extraNames in server\.yaml/,
      ],
      [
        'another node',
        { profile: 'kubelet-serving', node: w1 },
        { dnsNames: ['w1', 'w2'] },
        /asks for w2, .*\(w1, 10\.0\.0\.11\).*--address/,
      ],
      ['the API server', { profile: 'kubelet-serving', node: w1 }, { dnsNames: ['kubernetes'] }, /asks for kubernetes/],
      ['a name for a client', { profile: 'kubelet-client' }, { dnsNames: ['cp1'] }, /asks for cp1, .*leave them out/],
      ['many names', {}, { dnsNames: Array.from({ length: 12 }, (_, n) => `n${n}`) }, /n9 and 2 more/],
    ];
    for (const [what, wish, names, text] of rows) {
      it(what, async () => {
        const asked = await newCsr(names);
        assert.throws(() => approve({ csr: asked, ...wish }), refused('policy-refused', text));
      });
    }

    for (const name of ['email:root@example', 'uri:spiffe://lab/admin/root', 'O=system:masters', 'OU=x']) {
      it(name, () => {
        const asked = { ...csr, otherNames: [name] };
        assert.throws(
          () => approve({ csr: asked, profile: 'kubelet-client' }),
          refused('policy-refused', /beyond what cp1/),
        );
      });
    }
  });

  it('lets a request repeat the organization that the profile gives, and takes no account of its common name', () => {
    const asked = { ...csr, commonName: 'system:admin', otherNames: ['O=system:nodes'] };
    assert.equal(approve({ csr: asked, profile: 'kubelet-client' }).commonName, 'system:node:cp1');
  });
});
