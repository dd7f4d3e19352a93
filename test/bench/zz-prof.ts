import { spawn } from 'node:child_process';
import { startOurServer } from '/work/main/test/bench/our-server.ts';
import { inFolder, processorMs } from '/work/main/test/bench/machine.ts';
import { closedLoop } from '/work/main/test/bench/closed-loop.ts';
import { createClient } from '/work/main/common/rpc/client.ts';
import { CertificateService } from '/work/main/proto/gen/kubemtls/v1/certificate_pb.js';
import { profiles } from '/work/main/common/names/names.ts';
import { generateKey } from '/work/main/common/x509/keys.ts';
import { csrOf } from '/work/main/test/integration/server-fixture.ts';
import { DatabaseSync } from 'node:sqlite';
const B = ['kube-apiserver-serving','kube-apiserver-kubelet-client','kube-apiserver-etcd-client','front-proxy-client','probe-client'] as const;
const signal = new AbortController().signal;
process.env.NODE_OPTIONS = '--cpu-prof --cpu-prof-dir=/tmp/benchprof';
await inFolder(async (folder) => {
  const server = await startOurServer(folder, { count: 16, role: 'control-plane' }, signal);
  const conns = server.identities.map((i) => server.connect(i));
  const callers = await Promise.all(conns.map(async (c) => {
    const requests = await Promise.all(B.map(async (p) => ({ profile: profiles.toNumber(p), csr: csrOf(await generateKey('ecdsa-p256')) })));
    const { issueCertificates } = createClient(CertificateService, c);
    return async () => (await issueCertificates({ requests, changeId: 'x' })).certificates.length;
  }));
  const t = await closedLoop(callers, 6000, signal);
  console.log(t, t.count / t.seconds, 'cpu', processorMs(server.pid));
  const db = new DatabaseSync(folder + '/var/lib/kube-mtls-server/kube-mtls.db');
  console.log(db.prepare("select count(*) n from certificates where change_id='x' and state='issued'").get());
  db.close();
  for (const c of conns) c.close();
  await server.stop();
});
