import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AppError } from '../../common/errors/app-error.ts';
import {
  type Authority,
  authorities as authorityWords,
  type Profile,
  profiles,
  rotationPhases,
} from '../../common/names/names.ts';
import { chainsTo, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { IssueCertificatesRequestSchema } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { type KubeadmPki, kubeadmPki } from '../authority/kubeadm-pki-for-tests.ts';
import type { Caller } from '../caller.ts';
import { trustOldRoots } from '../init/trust-old-roots.ts';
import { sampleConfig, sampleCsr } from '../policy/policy-for-tests.ts';
import { type RotationFixture, reported, rotationFixture } from '../rotation/rotation-for-tests.ts';
import { sampleNode } from '../store/store-contract.ts';
import { issueCertificates } from './issue-certificates.ts';
import type { IssueDeps } from './issue-deps.ts';
import { getTrustBundles } from './trust-bundles.ts';

const by = { actor: 'admin/root', source: '' };
const cp1: Caller = { kind: 'node', name: 'cp1', serial: '1', address: '10.0.0.1' };
/** Leaves and a probe of each authority that has one. */
const leaves: Profile[] = ['kubelet-client', 'kube-apiserver-serving', 'etcd-peer', 'front-proxy-client'];
const probes: Profile[] = ['probe-client', 'etcd-healthcheck-client'];

let fixture: RotationFixture;
beforeEach(async () => {
  fixture = await rotationFixture();
  const node = sampleNode({ name: 'cp1', role: 'control-plane', addresses: ['10.0.0.1'] });
  await fixture.store.enrol({ node, useToken: undefined });
  fixture.online.add('cp1');
});
afterEach(() => fixture.remove());

const deps = (): IssueDeps => ({
  store: fixture.store,
  authorities: fixture.authorities,
  config: sampleConfig(),
  clock: fixture.clock,
});
const issue = async (...wishes: Profile[]) => {
  const requests = [];
  for (const profile of wishes) {
    requests.push({ profile: profiles.toNumber(profile), csr: sampleCsr(await generateKey('ecdsa-p256')) });
  }
  const answer = await issueCertificates(deps(), cp1, create(IssueCertificatesRequestSchema, { requests }));
  return answer.certificates.map((issued) => parseCertificate(issued.certificatePem));
};
const bundles = async () => {
  const answer = await getTrustBundles(deps(), cp1);
  return new Map(answer.bundles.map((bundle) => [authorityWords.toWord(bundle.authority), bundle] as const));
};
const authorityOf = (profile: Profile): Authority =>
  profile.startsWith('etcd-') ? 'etcd' : profile === 'front-proxy-client' ? 'front-proxy' : 'kubernetes';
/** Everything that is signed now, and by which root it verifies: the newest or the one before. */
const signedBy = async (wishes: Profile[], roots: ReadonlyMap<Authority, [newest: string, old: string]>) => {
  const certificates = await issue(...wishes);
  return wishes.map((profile, index) => {
    const certificate = certificates[index];
    const pems = roots.get(authorityOf(profile));
    assert.ok(certificate && pems);
    const [byNew, byOld] = pems.map((pem) =>
      chainsTo(certificate, parseCertificates(pem), new Date(fixture.clock.nowMs())),
    );
    assert.equal([byNew, byOld].filter((problem) => problem === undefined).length, 1, profile);
    return byNew === undefined ? 'new' : 'old';
  });
};
/** All that a phase waits for is reported. */
const goOn = async (from: 'trust' | 'reissue' | 'drop') => {
  const pins = (authority: Authority) => fixture.authorities.roots(authority).map((root) => root.publicKeyPin);
  const trust = { kubernetes: pins('kubernetes'), etcd: pins('etcd'), 'front-proxy': pins('front-proxy') };
  fixture.components = [reported('cp1', 'kube-apiserver', { trust })];
  await fixture.rotation.advance(from, by);
};

describe('certificates while roots change', () => {
  it('come from the CA of the phase, and the bundles say so', async () => {
    const old = new Map(authorityWords.all.map((authority) => [authority, fixture.authorities.rootsPem(authority)]));
    await fixture.rotation.start({ authorities: ['kubernetes', 'etcd', 'front-proxy'], automatic: false }, by);
    const roots = new Map(
      authorityWords.all.map((authority) => {
        const pair: [string, string] = [fixture.authorities.certificate(authority).pem, old.get(authority) ?? ''];
        return [authority, pair] as const;
      }),
    );
    const pin = (pem: string) => parseCertificate(pem).publicKeyPin;
    const check = async (phase: string, expected: { leaves: string; bundle: string[]; retired: string[] }) => {
      assert.deepEqual(
        await signedBy(leaves, roots),
        leaves.map(() => expected.leaves),
        phase,
      );
      assert.deepEqual(await signedBy(probes, roots), ['new', 'new'], phase);
      for (const [authority, bundle] of await bundles()) {
        const [newest = '', before = ''] = roots.get(authority ?? 'fleet') ?? [];
        const text = (names: string[]) => names.map((name) => (name === 'new' ? newest : before)).join('');
        assert.equal(bundle.rootsPem, text(expected.bundle), phase);
        assert.equal(bundle.retiredRootsPem, text(expected.retired), phase);
        assert.equal(bundle.issuingPin, pin(expected.leaves === 'new' ? newest : before), phase);
        assert.equal(rotationPhases.toWord(bundle.phase), phase);
      }
    };
    await check('trust', { leaves: 'old', bundle: ['new', 'old'], retired: [] });
    await goOn('trust');
    await check('reissue', { leaves: 'new', bundle: ['new', 'old'], retired: [] });
    await goOn('reissue');
    await check('drop', { leaves: 'new', bundle: ['new'], retired: ['old'] });
    await goOn('drop');
    await check('settled', { leaves: 'new', bundle: ['new'], retired: ['old'] });
    await fixture.restart();
    await check('settled', { leaves: 'new', bundle: ['new'], retired: ['old'] });
  });

  it('live no longer than the CA that signs them', async () => {
    const config = sampleConfig('lifetimes: {components: 3650d}\n');
    await fixture.clock.advance(86_400_000);
    const oldEnd = fixture.authorities.certificate('kubernetes').notAfter;
    await fixture.rotation.start({ authorities: ['kubernetes'], automatic: false }, by);
    const csr = sampleCsr(await generateKey('ecdsa-p256'));
    const probeCsr = sampleCsr(await generateKey('ecdsa-p256'));
    const request = create(IssueCertificatesRequestSchema, {
      requests: [
        { profile: profiles.toNumber('kubelet-client'), csr },
        { profile: profiles.toNumber('probe-client'), csr: probeCsr },
      ],
    });
    const { certificates } = await issueCertificates({ ...deps(), config }, cp1, request);
    const [leaf, probe] = certificates.map((issued) => parseCertificate(issued.certificatePem));
    assert.deepEqual(leaf?.notAfter, oldEnd);
    assert.ok(probe && probe.notAfter > oldEnd);
  });

  describe('of a cluster that moves from CAs of its own', () => {
    let pki: KubeadmPki;
    before(() => {
      pki = kubeadmPki();
    });
    after(() => pki.remove());
    beforeEach(async () => {
      const { store, clock, stateFolder } = fixture;
      await trustOldRoots(pki.folder, { store, clock, stateFolder, passphrase: 'secret' });
      await fixture.restart();
    });

    it('are probes in the phase trust, and no leaf, of which the bundles tell nothing', async () => {
      for (const [, bundle] of await bundles()) {
        assert.equal(bundle.issuingPin, '');
        assert.equal(parseCertificates(bundle.rootsPem).length, 2);
        assert.equal(rotationPhases.toWord(bundle.phase), 'trust');
      }
      const [probe] = await issue('probe-client');
      const newest = fixture.authorities.certificate('kubernetes');
      assert.ok(probe && chainsTo(probe, [newest], new Date(fixture.clock.nowMs())) === undefined);
      for (const profile of leaves) {
        const refused = (error: unknown) =>
          error instanceof AppError && error.reason === 'policy-refused' && /nothing but probes/.test(error.message);
        await assert.rejects(issue('probe-client', profile), refused, profile);
      }
      const events = await fixture.store.listEvents({ kind: 'certificate.refused' }, { size: 9, after: undefined });
      assert.equal(events.rows.length, leaves.length);
    });

    it('come from ours from the phase reissue on, and no old key is looked for at the end', async () => {
      await goOn('trust');
      assert.equal((await issue(...leaves, ...probes)).length, leaves.length + probes.length);
      await goOn('reissue');
      for (const [, bundle] of await bundles()) assert.equal(parseCertificates(bundle.retiredRootsPem).length, 1);
      await goOn('drop');
      await fixture.restart();
      assert.equal(fixture.authorities.roots('kubernetes').length, 1);
      await issue(...leaves);
    });
  });
});
