/** The change of roots over the wire: what nodes are given in each phase, and when the next may begin. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { until } from '../../common/time/until-for-tests.ts';
import { parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import {
  AgentMode,
  Authority,
  Component,
  ComponentState,
  Profile,
  RotationPhase,
} from '../../proto/gen/kubemtls/v1/types_pb.js';
import { type Clients, failureOf, startTestServer, type TestServer, wishFor } from './server-fixture.ts';

describe('a change of the kubernetes root', () => {
  let server: TestServer;
  let admin: Clients;
  let node: Clients;
  let session: ReturnType<Clients['agent']['session']>;
  /** Trust generations that the node was told. */
  const told: bigint[] = [];

  before(async () => {
    server = await startTestServer();
    admin = server.connect(await server.admin('boss', 'admin'));
    node = server.connect(await server.enrol('w1', 'worker', ['10.0.0.11']));
    session = node.agent.session();
    void (async () => {
      for await (const { message } of session)
        if (message.case === 'settings') told.push(message.value.trustGeneration);
    })().catch(() => {}); // it ends with the server
    session.write({ message: { case: 'hello', value: { mode: AgentMode.ENFORCE, agentVersion: '0.1.0' } } });
    await until(() => told.length > 0, 'the node has its settings');
  });
  after(() => server.close());

  const bundle = async () => {
    const { bundles } = await node.certificates.getTrustBundles({});
    const { rootsPem, retiredRootsPem, phase, issuingPin } =
      bundles.find(({ authority }) => authority === Authority.KUBERNETES) ?? assert.fail('no bundle');
    const pins = (pem: string) => (pem === '' ? [] : parseCertificates(pem).map(({ publicKeyPin }) => publicKeyPin));
    return { phase, issuingPin, roots: pins(rootsPem), retired: pins(retiredRootsPem) };
  };
  /** Names of the CAs that sign a leaf and a probe now. */
  const signers = async () => {
    const requests = [await wishFor('kubelet-client'), await wishFor('probe-client')];
    const { certificates } = await node.certificates.issueCertificates({ requests });
    return certificates.map(({ certificatePem }) => parseCertificate(certificatePem).issuer);
  };
  /** The kubelet says what it trusts and who signed its certificate. */
  const report = async (rootPins: string[], issuerPin: string) => {
    const before = (await admin.fleet.getNode({ name: 'w1' })).components.length;
    session.write({
      message: {
        case: 'report',
        value: {
          component: Component.KUBELET,
          state: ComponentState.PENDING,
          trust: [{ authority: Authority.KUBERNETES, rootPins }],
          certificates: [{ profile: Profile.KUBELET_CLIENT, serial: '1a', path: '/x', issuerPin }],
        },
      },
    });
    await until(async () => {
      const { components } = await admin.fleet.getNode({ name: 'w1' });
      return components.length >= before && components[0]?.trust[0]?.rootPins.join() === rootPins.join();
    }, 'the report is taken up');
  };

  it('is begun by administrators alone', async () => {
    const operator = server.connect(await server.admin('op', 'operator'));
    const refused = await failureOf(operator.authorities.startAuthorityRotation({}));
    assert.equal(refused.reason, 'policy-refused');
    assert.equal((await failureOf(node.authorities.listAuthorities({}))).reason, 'policy-refused');
  });

  it('gives both roots first, signs leaves with the old and probes with the new, and tells the nodes', async () => {
    const settled = await bundle();
    const [old = ''] = settled.roots;
    assert.deepEqual([settled.phase, settled.roots.length, settled.issuingPin], [RotationPhase.UNSPECIFIED, 1, old]);
    const generations = told.length;
    await admin.authorities.startAuthorityRotation({ authorities: [Authority.KUBERNETES] });
    const trust = await bundle();
    assert.deepEqual(
      [trust.phase, trust.roots.length, trust.roots[1], trust.issuingPin],
      [RotationPhase.TRUST, 2, old, old],
    );
    const [leaf, probe] = await signers();
    assert.notEqual(leaf, probe);
    await until(() => told.length > generations && told.at(-1) !== told[0], 'the node is told to look again');
    const again = await failureOf(admin.authorities.startAuthorityRotation({ authorities: [Authority.ETCD] }));
    assert.equal(again.reason, 'conflict');
  });

  it('does not leave a phase before every node is through, and says what it waits for', async () => {
    const { roots } = await bundle();
    const [fresh = '', old = ''] = roots;
    await report([old], old);
    const early = await failureOf(admin.authorities.advanceAuthorityRotation({ from: RotationPhase.TRUST }));
    assert.equal(early.reason, 'conflict');
    assert.match(early.message, /w1: kubelet does not trust the new kubernetes CA yet/);
    const skip = await failureOf(admin.authorities.advanceAuthorityRotation({ from: RotationPhase.REISSUE }));
    assert.equal(skip.reason, 'conflict', 'a call that is repeated must not skip a phase');
    await report([fresh, old], old);
    const unseen = await failureOf(admin.authorities.advanceAuthorityRotation({ from: RotationPhase.TRUST }));
    assert.match(unseen.message, /w1: its agent has not looked at the whole node in this phase yet/);
    const survey = { components: [Component.KUBELET], trustGeneration: told.at(-1) ?? 0n };
    session.write({ message: { case: 'survey', value: survey } });
    await until(
      async () => (await admin.authorities.getAuthorityRotation({})).rotation?.complete === true,
      'the phase is complete',
    );
    const { rotation } = await admin.authorities.advanceAuthorityRotation({ from: RotationPhase.TRUST });
    assert.equal(rotation?.phase, RotationPhase.REISSUE);
    const reissue = await bundle();
    assert.deepEqual([reissue.issuingPin, reissue.roots], [fresh, roots]);
    const [leaf, probe] = await signers();
    assert.equal(leaf, probe);
  });

  it('lists the CAs with what each is good for', async () => {
    const { certificates } = await admin.authorities.listAuthorities({});
    const kubernetes = certificates.filter(({ authority }) => authority === Authority.KUBERNETES);
    assert.deepEqual(
      kubernetes.map(({ issuing, trusted, hasKey }) => [issuing, trusted, hasKey]),
      [
        [true, true, true],
        [false, true, true],
      ],
    );
  });
});
