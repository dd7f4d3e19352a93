/** A change of roots over three control planes and their workers, the server away in the middle of each phase. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rotationPhases } from '../../common/names/names.ts';
import { parseCertificates } from '../../common/x509/certificate.ts';
import { vouches } from './fake-kubernetes.ts';
import { Fleet } from './fleet-fixture.ts';

/** KUBE_MTLS_WORKERS=47 makes it fifty nodes, which takes minutes. */
const WORKERS = Number(process.env.KUBE_MTLS_WORKERS ?? 5);
const NODES = WORKERS + 3;
/** A tenth of the kubelets, beside one API server. */
const MOST_AT_ONCE = Math.max(1, Math.floor(NODES / 10)) + 1;

describe('a change of roots', () => {
  let fleet: Fleet;
  /** Certificates from before, with which an API server may be called. */
  let old: string[];
  let oldRoot: string;
  before(async () => {
    fleet = await Fleet.start();
    await fleet.addControlPlanes(3);
    await fleet.addWorkers(WORKERS);
    await fleet.verified();
    old = await callers();
    oldRoot = fleet.server.authorities.certificate('kubernetes').pem;
    await fleet.admin.authorities.startAuthorityRotation({});
  });
  after(() => fleet.close());

  /** What every kubelet shows to its API server. */
  const callers = async () => {
    const kubelets = [...fleet.cluster.kubernetes.kubelets.values()];
    return Promise.all(kubelets.map(async (kubelet) => (await kubelet.credentials()).certPem));
  };
  /** How many of them every API server believes. */
  const believed = async (certificates: readonly string[]) => {
    const servers = await Promise.all([...fleet.cluster.kubernetes.apiservers.values()].map((files) => files()));
    return certificates.filter((pem) => servers.every(({ ca }) => vouches(ca, pem))).length;
  };
  /** Roots that each running kubelet takes API servers by. */
  const roots = async () => {
    const kubelets = [...fleet.cluster.kubernetes.kubelets.values()];
    const all = await Promise.all(kubelets.map((kubelet) => kubelet.credentials()));
    return all.map(({ rootsPem }) => parseCertificates(rootsPem).map(({ publicKeyPin }) => publicKeyPin));
  };
  const rotation = async () => (await fleet.admin.authorities.getAuthorityRotation({})).rotation ?? assert.fail();
  const awayInTheMiddle = async () => {
    await fleet.clock.until('somebody is in the middle of a change', () => fleet.disturbances.now.length > 0);
    assert.equal((await rotation()).complete, false);
    await fleet.stopServer();
    await fleet.clock.pass(60_000);
    await fleet.startServer();
  };
  const complete = async () => {
    let waitingFor: string[] = [];
    const isSo = async () => {
      const now = await rotation();
      waitingFor = now.waitingFor;
      return now.complete;
    };
    await fleet.clock.until('the phase is complete', isSo, { everyMs: 5000 }).catch((cause: unknown) => {
      throw new Error(waitingFor.join('\n'), { cause });
    });
  };
  const advance = async () => {
    const { phase } = await rotation();
    await fleet.admin.authorities.advanceAuthorityRotation({ from: phase });
  };

  for (const phase of ['trust', 'reissue', 'drop'] as const) {
    it(`comes through ${phase}, the server being away in the middle`, async () => {
      assert.equal(rotationPhases.toWord((await rotation()).phase), phase);
      await awayInTheMiddle();
      await complete();
      const { rollout, nodesOnline } = await fleet.status();
      assert.deepEqual([rollout?.paused, nodesOnline], [false, NODES]);
      const of = new Set((await roots()).map((pins) => pins.length));
      assert.deepEqual([...of], [phase === 'drop' ? 1 : 2]);
      const now = await callers();
      assert.equal(await believed(now), NODES);
      assert.equal(await believed(old), phase === 'drop' ? 0 : NODES);
      const signer = phase === 'trust' ? oldRoot : fleet.server.authorities.certificate('kubernetes').pem;
      assert.ok(now.every((pem) => vouches(signer, pem)));
      await advance();
    });
  }

  it('ends with everything VERIFIED under the new root alone', async () => {
    await fleet.verified();
    assert.deepEqual((await rotation()).authorities, []);
    const pin = fleet.server.authorities.certificate('kubernetes').publicKeyPin;
    assert.deepEqual(new Set((await roots()).map((pins) => pins.join())), new Set([pin]));
  });

  it('never took two API servers away, nor more kubelets than the share', () => {
    const { disturbances, cluster } = fleet;
    assert.equal(cluster.kubernetes.fewestApiservers, 2);
    assert.ok(disturbances.most <= MOST_AT_ONCE, `${disturbances.most}`);
  });
});
