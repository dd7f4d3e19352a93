import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import { profiles } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { NodeRole, PageSchema, Profile } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { bearer, type Clients, csrOf, failureOf, startTestServer, type TestServer, wishFor } from './server-fixture.ts';

let server: TestServer;
let admin: Clients;

before(async () => {
  server = await startTestServer('peers: {watch: 1s}\n');
  admin = server.connect(await server.admin('root', 'admin'));
});
after(() => server.close());

describe('enrolment', () => {
  it('makes a node of a stranger with a token, recorded as the token says', async () => {
    const identity = parseCertificate((await server.enrol('e1', 'worker', ['10.1.0.9'])).certPem);
    assert.deepEqual(identity.uris, ['spiffe://lab/node/e1']);
    const { node, identitySerial } = await admin.fleet.getNode({ name: 'e1' });
    assert.deepEqual([node?.role, node?.addresses, node?.online], [NodeRole.WORKER, ['10.1.0.9'], false]);
    assert.equal(identitySerial, identity.serial);
  });

  it('shows the fleet CA in its chain, so that a pin can be checked before the token is sent', async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: server.bootstrapPort,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    });
    await once(socket, 'secureConnect');
    const { issuerCertificate } = socket.getPeerCertificate(true);
    socket.destroy();
    assert.equal(
      parseCertificate(issuerCertificate.raw).publicKeyPin,
      server.authorities.certificate('fleet').publicKeyPin,
    );
  });

  it('refuses a wrong, a malformed, a missing, a used and a revoked token, and writes each down', async () => {
    const { enrolment } = server.connect(undefined, server.bootstrapPort);
    const { token } = await admin.tokens.createToken({
      role: NodeRole.WORKER,
      nodeNames: ['e2'],
      addresses: ['10.1.0.8'],
    });
    const request = async (nodeName = 'e2') => ({ nodeName, csr: csrOf(await generateKey('ecdsa-p256')) });
    const [id = '', secret = ''] = token.split('.');
    const wrong = `${id}.${secret.startsWith('a') ? 'b' : 'a'}${secret.slice(1)}`;
    for (const given of [bearer(wrong), bearer('x'), bearer(''), {}]) {
      assert.equal((await failureOf(enrolment.enrollNode(await request(), given))).reason, 'unauthenticated');
    }
    const other = await failureOf(enrolment.enrollNode(await request('e3'), bearer(token)));
    assert.equal(other.reason, 'policy-refused');
    await enrolment.enrollNode(await request(), bearer(token));
    const used = await failureOf(enrolment.enrollNode(await request(), bearer(token)));
    assert.equal(used.reason, 'unauthenticated'); // before the name is looked at, which is taken too
    const revoked = await admin.tokens.createToken({ role: NodeRole.WORKER });
    await admin.tokens.revokeToken({ tokenId: revoked.record?.tokenId ?? '' });
    assert.equal(
      (await failureOf(enrolment.enrollNode(await request('e4'), bearer(revoked.token)))).reason,
      'unauthenticated',
    );
    const { events } = await admin.fleet.listEvents({ kind: 'enrol.refused' });
    assert.deepEqual(events.map(({ reason, message }) => `${reason}: ${message}`).reverse(), [
      'unauthenticated: the secret of the token is wrong',
      'unauthenticated: the token is malformed',
      'unauthenticated: no token was given',
      'unauthenticated: no token was given',
      'policy-refused: the token is not for a node called e3: make one with --node e3',
      'unauthenticated: the token is used up',
      'unauthenticated: the token was revoked',
    ]);
    const text = JSON.stringify(events, (_, value) => (typeof value === 'bigint' ? Number(value) : value));
    assert.equal(text.includes(secret), false);
    assert.equal(JSON.stringify(server.logged).includes(secret), false);
  });

  it('refuses a request that is junk, and lives on', async () => {
    const { enrolment } = server.connect(undefined, server.bootstrapPort);
    const { token } = await admin.tokens.createToken({
      role: NodeRole.WORKER,
      nodeNames: ['e5'],
      addresses: ['10.1.0.7'],
    });
    const junk = await failureOf(
      enrolment.enrollNode({ nodeName: 'e5', csr: Buffer.alloc(900_000, 0x30) }, bearer(token)),
    );
    assert.equal(junk.reason, 'invalid-request');
    const good = { nodeName: 'e5', csr: csrOf(await generateKey('ecdsa-p256')) };
    assert.ok((await enrolment.enrollNode(good, bearer(token))).certificatePem);
  });
});

describe('certificates', () => {
  it('are issued in a batch, recorded, and listed page by page', async () => {
    const node = server.connect(await server.enrol('c1', 'control-plane', ['10.1.0.1']));
    const wanted = ['kube-apiserver-serving', 'etcd-server', 'etcd-peer', 'front-proxy-client'] as const;
    const requests = await Promise.all(wanted.map(wishFor));
    const answer = await node.certificates.issueCertificates({ requests, changeId: 'change-1' });
    assert.deepEqual(
      answer.certificates.map((it) => profiles.toWord(it.profile)),
      [...wanted],
    );
    const serials: string[] = [];
    let pageToken = '';
    do {
      const page = await admin.fleet.listCertificates({
        node: 'c1',
        page: create(PageSchema, { pageSize: 2, pageToken }),
      });
      assert.ok(page.certificates.length <= 2);
      serials.push(...page.certificates.map((it) => it.serial));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    for (const { serial } of answer.certificates) assert.ok(serials.includes(serial), serial);
    assert.equal(new Set(serials).size, 5, 'four and the identity, none twice');
    const soon = await admin.fleet.listCertificates({ node: 'c1', expiringWithin: durationFromMs(60 * 86_400_000) });
    assert.deepEqual(
      soon.certificates.map((it) => it.profile),
      [Profile.UNSPECIFIED],
      'only the identity',
    );
  });

  it('of the control plane are refused to a worker', async () => {
    const node = server.connect(await server.enrol('c2', 'worker'));
    for (const profile of ['kube-apiserver-serving', 'etcd-server', 'kube-apiserver-kubelet-client'] as const) {
      const error = await failureOf(node.certificates.issueCertificates({ requests: [await wishFor(profile)] }));
      assert.equal(error.reason, 'policy-refused', profile);
    }
  });

  it('with the name of another node are refused, and the name is told', async () => {
    const node = server.connect(await server.enrol('c3', 'worker'));
    const csr = createCsr(await generateKey('ecdsa-p256'), { commonName: 'system:node:c3', dnsNames: ['cp1'] });
    const requests = [{ profile: Profile.KUBELET_SERVING, csr: Buffer.from(csr) }];
    const error = await failureOf(node.certificates.issueCertificates({ requests }));
    assert.equal(error.reason, 'policy-refused');
    assert.match(error.message, /cp1/);
  });

  it('of an identity are renewed with a new key, and the old one ends with the first use of the new', async () => {
    const credentials = await server.enrol('c4', 'worker');
    const old = server.connect(credentials);
    const key = await generateKey('ecdsa-p256');
    const { certificatePem } = await old.certificates.renewIdentity({ csr: csrOf(key) });
    assert.ok(await old.certificates.getTrustBundles({}), 'the answer might have been lost');
    const fresh = server.connect({ certPem: certificatePem, keyPem: key.pem });
    assert.ok(await fresh.certificates.getTrustBundles({}));
    assert.equal((await failureOf(old.certificates.getTrustBundles({}))).reason, 'unauthenticated');
  });
});
