import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { connect } from 'node:tls';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { profiles } from '../../common/names/names.ts';
import { parseCertificate } from '../../common/x509/certificate.ts';
import { createCsr } from '../../common/x509/csr.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { createAuthority, newSerial, signCertificate } from '../../common/x509/sign.ts';
import {
  AgentMode,
  CheckResult,
  Component,
  ComponentState,
  NodeRole,
  PageSchema,
  Profile,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import {
  bearer,
  type Clients,
  type Credentials,
  csrOf,
  failureOf,
  startTestServer,
  type TestServer,
  until,
  wishFor,
} from './server-fixture.ts';

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
    assert.ok(['unauthenticated', 'conflict'].includes(used.reason), used.reason);
    const revoked = await admin.tokens.createToken({ role: NodeRole.WORKER });
    await admin.tokens.revokeToken({ tokenId: revoked.record?.tokenId ?? '' });
    assert.equal(
      (await failureOf(enrolment.enrollNode(await request('e4'), bearer(revoked.token)))).reason,
      'unauthenticated',
    );
    const { events } = await admin.fleet.listEvents({ kind: 'enrol.refused' });
    assert.ok(events.length >= 7, `${events.length}`);
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

describe('callers', () => {
  it('without a certificate get no byte of HTTP/2 from the fleet listener', async () => {
    assert.equal(await bytesFrom(undefined), 0);
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
    assert.equal(await bytesFrom({ certPem, keyPem: key.pem }), 0);
  });

  it('with a certificate of the fleet do get bytes', async () => {
    assert.ok((await bytesFrom(await server.admin('b1', 'viewer'))) > 0);
  });

  it('with the certificate of a worker get nothing of operators, and the refusal is written down', async () => {
    const node = server.connect(await server.enrol('a1', 'worker'));
    const calls = [
      node.fleet.getFleetStatus({}),
      node.fleet.listEvents({}),
      node.tokens.createToken({ role: NodeRole.CONTROL_PLANE }),
      node.rollout.resumeRollout({}),
    ];
    for (const call of calls) assert.equal((await failureOf(call)).reason, 'policy-refused');
    const { events } = await admin.fleet.listEvents({ node: 'a1', kind: 'call.refused' });
    assert.equal(events.length, 4);
    assert.equal(events[0]?.source, '127.0.0.1');
  });

  it('with a component certificate of the cluster are strangers here', async () => {
    const node = server.connect(await server.enrol('a2', 'control-plane', ['10.1.0.2']));
    const key = await generateKey('ecdsa-p256');
    const requests = [{ profile: Profile.KUBE_APISERVER_KUBELET_CLIENT, csr: csrOf(key) }];
    const { certificates } = await node.certificates.issueCertificates({ requests });
    assert.equal(await bytesFrom({ certPem: certificates[0]?.certificatePem ?? '', keyPem: key.pem }), 0);
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

describe('a change', () => {
  it('goes from session to permit to the word of the peers to VERIFIED, as operators see it', async () => {
    const node = server.connect(await server.enrol('s1', 'control-plane', ['10.1.0.3']));
    const peer = server.connect(await server.enrol('s2', 'worker', ['10.1.0.4']));
    // 1. both agents are there
    const [own, other] = [node.agent.session(), peer.agent.session()];
    const kubelet = { component: Component.KUBELET, state: ComponentState.PENDING, unit: 'kubelet.service' };
    other.write({ message: { case: 'hello', value: { mode: AgentMode.ENFORCE, components: [kubelet] } } });
    own.write({
      message: { case: 'hello', value: { mode: AgentMode.ENFORCE, nodeTime: timestampFromMs(Date.now() + 90_000) } },
    });
    for await (const { message } of own) {
      assert.equal(message.case === 'settings' && message.value.cluster?.name, 'lab');
      break;
    }
    await until(
      async () => (await admin.fleet.getFleetStatus({})).nodes.find((it) => it.name === 's2')?.online === true,
      'online',
    );
    // 2. the first session was left by its reader: it is over, another takes its place
    const session = node.agent.session();
    session.write({
      message: { case: 'hello', value: { mode: AgentMode.ENFORCE, nodeTime: timestampFromMs(Date.now() + 90_000) } },
    });
    await until(async () => (await admin.fleet.getNode({ name: 's1' })).node?.online === true, 's1 is back');
    // 3. certificate and permit
    const { certificates } = await node.certificates.issueCertificates({
      requests: [await wishFor('kube-apiserver-serving')],
    });
    const serial = certificates[0]?.serial ?? '';
    const asked = { components: [Component.KUBE_APISERVER], changeId: 'x1', reason: 'new certificates' };
    const { permitId } = await node.agent.acquireRestartPermit(asked);
    assert.equal((await node.agent.acquireRestartPermit(asked)).permitId, permitId);
    assert.deepEqual(
      (await admin.rollout.getRollout({})).rollout?.permits.map((it) => it.node),
      ['s1'],
    );
    // 4. the peer is asked and answers
    const answering = (async () => {
      for await (const { message } of other) {
        if (message.case !== 'peerQuestion') continue;
        assert.deepEqual([message.value.node, message.value.serial], ['s1', serial]);
        assert.deepEqual(message.value.endpoints, ['10.1.0.3:6443']);
        const confirmations = [{ source: 'handshake 10.1.0.3:6443', line: 'shows the serial' }];
        other.write({
          message: {
            case: 'peerAnswer',
            value: { questionId: message.value.questionId, concerned: true, confirmations },
          },
        });
        return;
      }
    })();
    const request = {
      permitId,
      component: Component.KUBE_APISERVER,
      endpoints: ['10.1.0.3:6443', '8.8.8.8:53'],
      serial,
    };
    const { check } = await node.agent.checkPeers(request, { deadlineMs: 30_000 });
    await answering;
    assert.equal(check?.result, CheckResult.PASSED);
    assert.equal(check?.evidence[0]?.source, 'node s2: handshake 10.1.0.3:6443');
    // 5. reported, believed, seen
    const status = {
      component: Component.KUBE_APISERVER,
      state: ComponentState.VERIFIED,
      certificates: [{ profile: Profile.KUBE_APISERVER_SERVING, serial }],
    };
    session.write({ message: { case: 'report', value: status } });
    await until(async () => (await admin.fleet.getFleetStatus({})).componentsVerified === 1, 'verified');
    const seen = await admin.fleet.getVerification({ node: 's1', component: Component.KUBE_APISERVER });
    assert.equal(seen.status?.state, ComponentState.VERIFIED);
    await node.agent.releaseRestartPermit({ permitId });
    assert.deepEqual((await admin.rollout.getRollout({})).rollout?.permits, []);
    // 6. what operators are told
    const { warnings } = await admin.fleet.getFleetStatus({});
    assert.ok(
      warnings.some((it) => /the clock of s1 is \d+ s ahead/.test(it)),
      warnings.join('; '),
    );
    const kinds = (await admin.fleet.listEvents({ node: 's1' })).events.map((it) => it.kind);
    for (const kind of ['node.online', 'permit.granted', 'peers.confirmed', 'component.verified', 'permit.released']) {
      assert.ok(kinds.includes(kind), `${kind} in ${kinds.join(', ')}`);
    }
    session.close();
    other.close();
  });

  it('is not VERIFIED by the word of its own agent, and stops the rollout when it failed', async () => {
    const node = server.connect(await server.enrol('s3', 'worker'));
    const session = node.agent.session();
    const report = (state: ComponentState, restarts: number) =>
      session.write({
        message: { case: 'report', value: { component: Component.KUBELET, state, restarts, reason: 'agent says so' } },
      });
    session.write({ message: { case: 'hello', value: {} } });
    report(ComponentState.VERIFYING, 1);
    report(ComponentState.VERIFIED, 1);
    const stateOf = async () => (await admin.fleet.getNode({ name: 's3' })).components[0]?.state;
    await until(async () => (await stateOf()) === ComponentState.FAILED, 'failed');
    const { rollout } = await admin.rollout.getRollout({});
    assert.deepEqual([rollout?.paused, rollout?.node], [true, 's3']);
    assert.match(rollout?.reason ?? '', /not confirmed by peers/);
    const refused = await failureOf(
      node.agent.acquireRestartPermit({ components: [Component.KUBELET], changeId: 'y' }),
    );
    assert.equal(refused.reason, 'policy-refused');
    assert.ok((await admin.fleet.getFleetStatus({})).warnings.some((it) => it.startsWith('the rollout is paused')));
    assert.equal((await admin.rollout.resumeRollout({})).rollout?.paused, false);
    session.close();
  });

  it('of etcd is no matter of a worker', async () => {
    const node = server.connect(await server.enrol('s4', 'worker'));
    const refused = await failureOf(node.agent.acquireRestartPermit({ components: [Component.ETCD], changeId: 'z' }));
    assert.equal(refused.reason, 'policy-refused');
  });
});

describe('sessions', () => {
  it('end when another of the same node begins', async () => {
    const credentials = await server.enrol('t1', 'worker');
    const first = server.connect(credentials).agent.session();
    first.write({ message: { case: 'hello', value: {} } });
    const over = failureOf(
      (async () => {
        for await (const _ of first);
      })(),
    );
    await until(async () => (await admin.fleet.getNode({ name: 't1' })).node?.online === true, 'online');
    const second = server.connect(credentials).agent.session();
    second.write({ message: { case: 'hello', value: {} } });
    assert.equal((await over).reason, 'conflict');
    second.close();
  });

  it('go offline when the connection breaks', async () => {
    const client = server.connect(await server.enrol('t2', 'worker'));
    const session = client.agent.session();
    session.write({ message: { case: 'hello', value: {} } });
    const isOnline = async () => (await admin.fleet.getNode({ name: 't2' })).node?.online;
    await until(async () => (await isOnline()) === true, 'online');
    client.connection.close();
    await until(async () => (await isOnline()) === false, 'offline');
  });
});

describe('queries', () => {
  it('tell what they do not know', async () => {
    assert.equal((await failureOf(admin.fleet.getNode({ name: 'nobody' }))).reason, 'not-found');
    const verification = admin.fleet.getVerification({ node: 'nobody', component: Component.ETCD });
    assert.equal((await failureOf(verification)).reason, 'not-found');
    const page = create(PageSchema, { pageSize: 5000 });
    assert.equal((await failureOf(admin.fleet.listNodes({ page }))).reason, 'invalid-request');
    const token = create(PageSchema, { pageToken: 'garbage' });
    assert.equal((await failureOf(admin.fleet.listEvents({ page: token }))).reason, 'invalid-request');
  });

  it('page through nodes and filter them', async () => {
    const all = (await admin.fleet.listNodes({})).nodes.map((it) => it.name);
    const paged: string[] = [];
    let pageToken = '';
    do {
      const answer = await admin.fleet.listNodes({ page: create(PageSchema, { pageSize: 2, pageToken }) });
      paged.push(...answer.nodes.map((it) => it.name));
      pageToken = answer.nextPageToken;
    } while (pageToken !== '');
    assert.deepEqual(paged, all);
    const planes = await admin.fleet.listNodes({ role: NodeRole.CONTROL_PLANE });
    assert.ok(planes.nodes.length > 0 && planes.nodes.every((it) => it.role === NodeRole.CONTROL_PLANE));
    const verified = await admin.fleet.listNodes({ componentState: ComponentState.VERIFIED });
    assert.deepEqual(
      verified.nodes.map((it) => it.name),
      ['s1'],
    );
  });

  it('show the four authorities with their pins', async () => {
    const { authorities } = await admin.fleet.getFleetStatus({});
    assert.equal(authorities.length, 4);
    assert.equal(authorities[0]?.publicKeyPin, server.authorities.certificate('fleet').publicKeyPin);
  });
});

/** Bytes of HTTP/2 that the fleet listener sends to a raw TLS client. */
function bytesFrom(credentials: Credentials | undefined): Promise<number> {
  return new Promise((resolve) => {
    const socket = connect({
      host: '127.0.0.1',
      port: server.fleetPort,
      ca: server.authorities.rootsPem('fleet'),
      ALPNProtocols: ['h2'],
      ...(credentials === undefined ? {} : { cert: credentials.certPem, key: credentials.keyPem }),
    });
    socket.on('secureConnect', () => socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0'));
    socket.on('error', () => {}); // closed by the server is what is expected
    socket.on('close', () => resolve(0));
    socket.on('data', (data: Buffer) => {
      resolve(data.length);
      socket.destroy();
    });
  });
}
