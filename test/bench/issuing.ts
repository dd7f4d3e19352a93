/** Certificates a second: our whole way of a request against `cfssl serve`. */
import { AppError } from '../../common/errors/app-error.ts';
import { type Profile, profiles } from '../../common/names/names.ts';
import { createClient } from '../../common/rpc/client.ts';
import type { Connection } from '../../common/rpc/connection.ts';
import { generateKey } from '../../common/x509/keys.ts';
import { CertificateService } from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { csrOf } from '../integration/server-fixture.ts';
import { startCfssl } from './cfssl.ts';
import { type Caller, closedLoop } from './closed-loop.ts';
import { type Bench, type BenchResult, digits, median } from './figure.ts';
import { inFolder, processorMs } from './machine.ts';
import { startOurServer } from './our-server.ts';

const CALLERS = 16;
/** What an API server gets in one change. */
const BATCH: readonly Profile[] = [
  'kube-apiserver-serving',
  'kube-apiserver-kubelet-client',
  'kube-apiserver-etcd-client',
  'front-proxy-client',
  'probe-client',
];
/** In turns, so that a machine whose speed changes is as fast for both. */
const ROUNDS = 3;
const ROUND_MS = 2250;
const WARM_UP_MS = 750;

/** The bench. */
export const issuing: Bench = {
  name: 'issuing',
  about: `certificates a second, ${CALLERS} callers, P-256, against cfssl serve`,
  packages: ['golang-cfssl'],
  run: (say, signal) => inFolder((folder) => measure(folder, say, signal)),
};

/** One of the two in a round. */
interface Side {
  pid: number;
  callers: Caller[];
}

/** Of a round: certificates a second, and milliseconds of the server's processor time for each. */
interface Rate {
  perSecond: number;
  processorMs: number;
}

async function measure(folder: string, say: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  say(`starting kube-mtls-server with ${CALLERS} nodes`);
  const server = await startOurServer(folder, { count: CALLERS, role: 'control-plane' }, signal);
  const connections = server.identities.map((identity) => server.connect(identity));
  try {
    const ours = {
      pid: server.pid,
      callers: await Promise.all(connections.map((each) => issueBatches(each, signal))),
    };
    say('starting cfssl serve');
    const cfssl = await startCfssl(folder, CALLERS, signal);
    try {
      return resultOf(await rounds(ours, cfssl, say, signal));
    } finally {
      await cfssl.stop();
    }
  } finally {
    for (const connection of connections) connection.close();
    await server.stop();
  }
}

/** A node that asks for the same batch again and again; its keys are made before. */
async function issueBatches(connection: Connection, signal: AbortSignal): Promise<Caller> {
  const requests = await Promise.all(
    BATCH.map(async (profile) => ({
      profile: profiles.toNumber(profile),
      csr: csrOf(await generateKey('ecdsa-p256')),
    })),
  );
  const { issueCertificates } = createClient(CertificateService, connection);
  return async () => {
    const { certificates } = await issueCertificates({ requests, changeId: 'bench' }, { signal });
    if (certificates.length !== BATCH.length) throw new AppError('internal', 'the server left out certificates');
    return certificates.length;
  };
}

async function rounds(ours: Side, cfssl: Side, say: (text: string) => void, signal: AbortSignal) {
  await closedLoop(ours.callers, WARM_UP_MS, signal);
  await closedLoop(cfssl.callers, WARM_UP_MS, signal);
  const pairs: { ours: Rate; cfssl: Rate }[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const pair = { ours: await rateOf(ours, signal), cfssl: await rateOf(cfssl, signal) };
    say(
      `round ${round} of ${ROUNDS}: ours ${digits(pair.ours.perSecond)}, cfssl ${digits(pair.cfssl.perSecond)} certificates/s`,
    );
    pairs.push(pair);
  }
  return pairs;
}

async function rateOf({ pid, callers }: Side, signal: AbortSignal): Promise<Rate> {
  const beforeMs = processorMs(pid);
  const { count, seconds } = await closedLoop(callers, ROUND_MS, signal);
  return { perSecond: count / seconds, processorMs: (processorMs(pid) - beforeMs) / count };
}

function resultOf(pairs: readonly { ours: Rate; cfssl: Rate }[]): BenchResult {
  const middle = (pick: (pair: { ours: Rate; cfssl: Rate }) => number) => median(pairs.map(pick));
  return {
    figures: [
      {
        what: 'certificates a second',
        ours: `${digits(middle(({ ours }) => ours.perSecond))}/s`,
        against: `cfssl serve ${digits(middle(({ cfssl }) => cfssl.perSecond))}/s`,
        ratio: middle(({ ours, cfssl }) => ours.perSecond / cfssl.perSecond),
        better: 'more',
      },
      {
        what: "server's processor time a certificate",
        ours: `${digits(middle(({ ours }) => ours.processorMs))} ms`,
        against: `cfssl serve ${digits(middle(({ cfssl }) => cfssl.processorMs))} ms`,
        ratio: middle(({ ours, cfssl }) => ours.processorMs / cfssl.processorMs),
        better: 'less',
      },
    ],
    notes: [
      'ours: gRPC over mutual TLS, a connection a node, 5 certificates a call; the request checked, policy, intent and issue in the inventory and in the audit, all of it fsynced in SQLite before the answer; one thread.',
      'cfssl: plaintext HTTP, one certificate a call; the request checked and signed. No database, no client authentication, no policy for a caller, no audit; all cores.',
      'both: requests prepared before, P-256; callers in one process of Node.js on the same cores, which limits cfssl more than us; medians of three rounds in turns, ratios of pairs.',
    ],
  };
}
