import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { generateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial, signCertificate } from '../../common/x509/sign.ts';
import { NodeRole, Profile } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type Clients, csrOf, failureOf, greetOverHttp2, startTestServer, type TestServer } from './server-fixture.ts';

let server: TestServer;
let admin: Clients;

before(async () => {
  server = await startTestServer('peers: {watch: 1s}\n');
  admin = server.connect(await server.admin('root', 'admin'));
});
after(() => server.close());

describe('callers', () => {
  it('without a certificate get no byte of HTTP/2 from the fleet listener', async () => {
    assert.deepEqual(await greetOverHttp2(server, undefined), { kind: 'refused', alert: 'CERTIFICATE_REQUIRED' });
    assert.equal((await failureOf(server.connect(undefined).fleet.getFleetStatus({}))).reason, 'unavailable');
  });

  it('of a stranger CA that calls itself like ours get no byte either', async () => {
    const fleet = server.authorities.certificate('fleet');
    const minutes = (count: number) => new Date(Date.now() + count * 60_000);
    const validity = { notBefore: minutes(-10), notAfter: minutes(10) };
    const stranger = await createAuthority({
      commonName: fleet.commonName,
      serial: fleet.serial,
      algorithm: 'ecdsa-p256',
      ...validity,
    });
    const key = await generateKey('ecdsa-p256');
    const certPem = signCertificate(
      {
        serial: newSerial(),
        commonName: 'root',
        organizations: [],
        publicKey: key.publicKey,
        notBefore: minutes(-5),
        notAfter: minutes(5),
        usages: ['client'],
        dnsNames: [],
        ipAddresses: [],
        uris: ['spiffe://lab/admin/root'],
      },
      stranger,
    );
    const greeting = await greetOverHttp2(server, { certPem, keyPem: key.pem });
    assert.deepEqual(greeting, { kind: 'closed' });
  });

  it('with a certificate of the fleet do get bytes', async () => {
    const greeting = await greetOverHttp2(server, await server.admin('b1', 'viewer'));
    assert.equal(greeting.kind, 'bytes');
  });

  it('are told from those who meet no server, or another', async () => {
    const other = await startTestServer();
    const { authorities } = server;
    const mistaken = await greetOverHttp2({ fleetPort: other.fleetPort, authorities }, undefined);
    assert.ok(mistaken.kind === 'error' && /SELF_SIGNED|UNABLE_TO/.test(mistaken.why), JSON.stringify(mistaken));
    await other.close();
    const nobody = await greetOverHttp2({ fleetPort: other.fleetPort, authorities }, undefined);
    assert.ok(nobody.kind === 'error' && nobody.why.startsWith('ECONNREFUSED'), JSON.stringify(nobody));
  });

  it('with the certificate of a worker get nothing of operators, and the refusal is written down', async () => {
    const node = server.connect(await server.enrol('a1', 'worker'));
    const calls = [
      node.fleet.getFleetStatus({}),
      node.fleet.listEvents({}),
      node.tokens.createToken({ role: NodeRole.CONTROL_PLANE }),
      node.rollout.resumeRollout({}),
    ];
    for (const { reason } of await Promise.all(calls.map(failureOf))) assert.equal(reason, 'policy-refused');
    const { events } = await admin.fleet.listEvents({ node: 'a1', kind: 'call.refused' });
    assert.equal(events.length, 4);
    assert.equal(events[0]?.source, '127.0.0.1');
  });

  it('with a component certificate of the cluster are strangers here', async () => {
    const node = server.connect(await server.enrol('a2', 'control-plane', ['10.1.0.2']));
    const key = await generateKey('ecdsa-p256');
    const requests = [{ profile: Profile.KUBE_APISERVER_KUBELET_CLIENT, csr: csrOf(key) }];
    const { certificates } = await node.certificates.issueCertificates({ requests });
    const greeting = await greetOverHttp2(server, { certPem: certificates[0]?.certificatePem ?? '', keyPem: key.pem });
    assert.deepEqual(greeting, { kind: 'closed' });
  });

  it('that are viewers look and do not touch', async () => {
    const viewer = server.connect(await server.admin('eye', 'viewer'));
    assert.equal((await viewer.fleet.getFleetStatus({})).cluster, 'lab');
    assert.ok(await viewer.rollout.getRollout({}));
    assert.equal((await failureOf(viewer.rollout.pauseRollout({}))).reason, 'policy-refused');
    assert.equal((await failureOf(viewer.tokens.listTokens({}))).reason, 'policy-refused');
    assert.equal((await failureOf(viewer.agent.acquireRestartPermit({}))).reason, 'policy-refused');
  });

  it('that are administrators with a certificate replaced since are refused', async () => {
    const old = server.connect(await server.admin('twice', 'admin'));
    await server.admin('twice', 'admin');
    assert.equal((await failureOf(old.fleet.getFleetStatus({}))).reason, 'unauthenticated');
  });

  it('that were revoked are refused on a connection that was open before', async () => {
    const node = server.connect(await server.enrol('a3', 'worker'));
    await node.certificates.getTrustBundles({});
    await server.store.updateNode('a3', { revoked: true });
    assert.equal((await failureOf(node.certificates.getTrustBundles({}))).reason, 'node-revoked');
  });
});
