import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { parseCsr } from '../../common/x509/csr.ts';
import { publicKeyPin } from '../../common/x509/keys.ts';
import { makeChange, makeNode } from '../stage/fake-change.ts';
import { makeKeys } from './make-keys.ts';

const parent = mkdtempSync(join(tmpdir(), 'kube-mtls-keys-'));
after(() => rmSync(parent, { recursive: true }));

describe('makeKeys', () => {
  it('makes one key for each slot of each component and none twice', async () => {
    const change = await makeChange(await makeNode(parent));
    const { keys } = await makeKeys(change, 'ecdsa-p256');
    assert.deepEqual(
      keys.map(({ component, slot }) => `${component} ${slot.file}`),
      ['etcd server', 'etcd peer', 'kube-apiserver serving'],
    );
    assert.equal(new Set(keys.map(({ key }) => publicKeyPin(key.publicKey))).size, 3);
    const again = await makeKeys(change, 'ecdsa-p256');
    assert.notEqual(keys[0]?.key.pem, again.keys[0]?.key.pem);
  });

  it('asks for the names of the slot with the key of the slot', async () => {
    const { keys } = await makeKeys(await makeChange(await makeNode(parent)), 'rsa-2048');
    for (const { key, slot, csrPem } of keys) {
      const csr = parseCsr(Buffer.from(csrPem));
      assert.equal(csr.publicKeyPin, publicKeyPin(key.publicKey));
      assert.equal(csr.publicKey.asymmetricKeyType, 'rsa');
      assert.deepEqual(csr.dnsNames, slot.dnsNames);
      assert.deepEqual(csr.ipAddresses, slot.ipAddresses);
      assert.equal(csr.commonName, slot.profile);
    }
  });

  it('asks for no names at all where the slot has none', async () => {
    const change = await makeChange(await makeNode(parent));
    const [etcd] = change.components;
    assert.ok(etcd);
    etcd.slots = [
      { profile: 'etcd-healthcheck-client', file: 'healthcheck-client', dnsNames: [], ipAddresses: [], reason: '' },
    ];
    const [first] = (await makeKeys(change, 'ecdsa-p384')).keys;
    const csr = parseCsr(Buffer.from(first?.csrPem ?? ''));
    assert.deepEqual([csr.dnsNames, csr.ipAddresses, csr.otherNames], [[], [], []]);
  });

  it('leaves nothing on disk', async () => {
    const node = await makeNode(parent);
    const before = await node.tree();
    await makeKeys(await makeChange(node), 'ecdsa-p256');
    assert.deepEqual(await node.tree(), before);
  });
});
