import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import type { Authority, Component } from '../../common/names/names.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import { makeAuthority, nowMs } from '../plan/fake-authorities.ts';
import { installedTrust, issuerPin, trustAfter } from './trust.ts';

let old: Signer;
let fresh: Signer;
before(async () => {
  [old, fresh] = await Promise.all([makeAuthority('old'), makeAuthority('new')]);
});

const pemOf = (...signers: Signer[]) => signers.map(({ certificate }) => certificate.pem).join('');
const pinsOf = (...signers: Signer[]) => signers.map(({ certificate }) => certificate.publicKeyPin).sort();
const folder = (component: Component, bundles: Record<string, string>) => ({
  ...{ component, target: 'v1', certificates: [] },
  bundles: Object.entries(bundles).map(([file, pem]) => ({ file, pem })),
});

describe('installedTrust', () => {
  const rows: [component: Component, file: string, authority: Authority][] = [
    ['etcd', 'client-ca.crt', 'etcd'],
    ['etcd', 'peer-ca.crt', 'etcd'],
    ['kube-apiserver', 'client-ca.crt', 'kubernetes'],
    ['kube-apiserver', 'kubelet-ca.crt', 'kubernetes'],
    ['kube-apiserver', 'front-proxy-ca.crt', 'front-proxy'],
    ['kube-apiserver', 'etcd-ca.crt', 'etcd'],
    ['kube-controller-manager', 'root-ca.crt', 'kubernetes'],
    ['kube-scheduler', 'client-ca.crt', 'kubernetes'],
    ['kubelet', 'apiserver-ca.crt', 'kubernetes'],
    ['admin', 'apiserver-ca.crt', 'kubernetes'],
  ];
  for (const [component, file, authority] of rows) {
    it(`counts ${component}'s ${file} for ${authority}`, () => {
      const trust = installedTrust(folder(component, { [file]: pemOf(fresh, old) }));
      assert.deepEqual(trust, [{ authority, rootPins: pinsOf(fresh, old) }]);
    });
  }

  it('counts only what is in all files of an authority, and nothing of a file that cannot be read', () => {
    const files = { 'client-ca.crt': pemOf(fresh, old), 'root-ca.crt': pemOf(old) };
    assert.deepEqual(installedTrust(folder('kube-controller-manager', files)), [
      { authority: 'kubernetes', rootPins: pinsOf(old) },
    ]);
    const damaged = { ...files, 'apiserver-ca.crt': 'nothing' };
    assert.deepEqual(installedTrust(folder('kube-controller-manager', damaged)), [
      { authority: 'kubernetes', rootPins: [] },
    ]);
    assert.deepEqual(installedTrust(folder('kubelet', { 'other-ca.crt': pemOf(old) })), []);
  });

  it('will be what the files of a change will hold', () => {
    const files = [
      { authority: 'etcd' as const, file: 'client-ca.crt' },
      { authority: 'etcd' as const, file: 'peer-ca.crt' },
    ];
    const trust = trustAfter(files, new Map([['etcd', pemOf(fresh, old)]]));
    const installed = folder('etcd', { 'client-ca.crt': pemOf(old, fresh), 'peer-ca.crt': pemOf(fresh, old) });
    assert.deepEqual(trust, installedTrust(installed));
  });
});

describe('issuerPin', () => {
  it('is the key of the root that signed, and none when no root did', async () => {
    const { publicKey } = await generateKey('ecdsa-p256');
    const pem = signCertificate(
      {
        ...{ serial: newSerial(), commonName: 'x', organizations: [], publicKey, uris: [], dnsNames: [] },
        ...{ ipAddresses: [], notBefore: new Date(nowMs - 1), notAfter: new Date(nowMs + 1), usages: ['client'] },
      },
      old,
    );
    assert.equal(issuerPin(pem, pemOf(fresh, old)), old.certificate.publicKeyPin);
    for (const roots of [pemOf(fresh), '', 'nothing', undefined]) assert.equal(issuerPin(pem, roots), '');
  });
});
