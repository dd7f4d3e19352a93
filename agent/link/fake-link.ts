/** A server for tests of the agent, in memory: signs what it is asked, and answers each call as a test wants. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type Authority, authorities, type Component, components, profiles } from '../../common/names/names.ts';
import type { ClientStream } from '../../common/rpc/client.ts';
import { parseCsr } from '../../common/x509/csr.ts';
import { newSerial, type Signer, signCertificate } from '../../common/x509/sign.ts';
import {
  AcquireRestartPermitResponseSchema,
  type CheckPeersRequestSchema,
  CheckPeersResponseSchema,
  ReleaseRestartPermitResponseSchema,
  type SessionRequestSchema,
  type SessionResponseSchema,
} from '../../proto/gen/kubemtls/v1/agent_pb.js';
import {
  GetTrustBundlesResponseSchema,
  IssueCertificatesRequestSchema,
  IssueCertificatesResponseSchema,
  RenewIdentityResponseSchema,
} from '../../proto/gen/kubemtls/v1/certificate_pb.js';
import { CheckKind, CheckResult, TrustBundleSchema } from '../../proto/gen/kubemtls/v1/types_pb.js';
import { issuers } from '../plan/complete-change.ts';
import { makeAuthority, nowMs } from '../plan/fake-authorities.ts';
import type { ServerCalls, ServerLink } from './server-link.ts';

const hourMs = 3_600_000;

/** What may be done instead of the usual; each throws what the server would answer. */
export interface Instead {
  issue?: (request: MessageInitShape<typeof IssueCertificatesRequestSchema>) => void;
  /** Called for each wish; the permit is granted when it returns. */
  acquire?: (signal: AbortSignal | undefined, components: readonly Component[]) => Promise<void> | void;
  release?: () => void;
  peers?: (
    request: MessageInitShape<typeof CheckPeersRequestSchema>,
  ) => MessageInitShape<typeof CheckPeersResponseSchema>;
  bundles?: () => void;
  renew?: (csr: Uint8Array) => Promise<MessageInitShape<typeof RenewIdentityResponseSchema>>;
  session?: () => ClientStream<typeof SessionRequestSchema, typeof SessionResponseSchema>;
}

/** The link of a node to that server. */
export class FakeLink implements ServerLink {
  /** Names of the calls in their order, with what matters of them. */
  readonly asked: string[] = [];
  readonly signers: ReadonlyMap<Authority, Signer>;
  instead: Instead = {};
  renewed = 0;

  constructor(signers: ReadonlyMap<Authority, Signer>) {
    this.signers = signers;
  }

  /** One with CAs of its own. */
  static async create(): Promise<FakeLink> {
    const names = ['kubernetes', 'etcd', 'front-proxy'] as const;
    const signers = await Promise.all(names.map(async (name) => [name, await makeAuthority(name)] as const));
    return new FakeLink(new Map<Authority, Signer>(signers));
  }

  /** The roots as the server gives them. */
  get bundles(): Map<Authority, string> {
    return new Map([...this.signers].map(([authority, { certificate }]) => [authority, certificate.pem]));
  }

  async calls(): Promise<ServerCalls> {
    return this.#calls;
  }

  renew(): void {
    this.renewed++;
  }

  close(): void {}

  readonly #calls: ServerCalls = {
    agent: {
      session: () => {
        if (this.instead.session === undefined) throw new Error('no session in this test');
        return this.instead.session();
      },
      acquireRestartPermit: async ({ changeId, live, components: asked = [] }, options) => {
        this.asked.push(`acquire ${changeId}${live ? ' live' : ''}`);
        await this.instead.acquire?.(
          options?.signal,
          asked.flatMap((number) => components.toWord(number) ?? []),
        );
        return create(AcquireRestartPermitResponseSchema, { permitId: 'p1' });
      },
      releaseRestartPermit: async ({ permitId }) => {
        this.asked.push(`release ${permitId}`);
        this.instead.release?.();
        return create(ReleaseRestartPermitResponseSchema);
      },
      checkPeers: async (request) => {
        this.asked.push(`peers ${request.component} ${request.permitId}`);
        const passed = { check: { kind: CheckKind.PEERS, result: CheckResult.PASSED, summary: 'no complaint' } };
        return create(CheckPeersResponseSchema, this.instead.peers?.(request) ?? passed);
      },
    },
    certificates: {
      issueCertificates: async (request) => {
        this.asked.push(`issue ${request.changeId}`);
        this.instead.issue?.(request);
        const { requests } = create(IssueCertificatesRequestSchema, request);
        return create(IssueCertificatesResponseSchema, {
          certificates: requests.map(({ profile, csr }) => ({
            profile,
            certificatePem: this.#sign(profile ?? 0, csr),
          })),
          bundles: this.#bundleMessages(),
        });
      },
      renewIdentity: async ({ csr }) => {
        this.asked.push('renew');
        if (this.instead.renew === undefined) throw new Error('no renewal in this test');
        return create(RenewIdentityResponseSchema, await this.instead.renew(csr ?? new Uint8Array()));
      },
      getTrustBundles: async () => {
        this.asked.push('bundles');
        this.instead.bundles?.();
        return create(GetTrustBundlesResponseSchema, { bundles: this.#bundleMessages() });
      },
    },
  };

  #bundleMessages() {
    return [...this.bundles].map(([authority, rootsPem]) =>
      create(TrustBundleSchema, { authority: authorities.toNumber(authority), rootsPem }),
    );
  }

  #sign(profileNumber: number, csr: Uint8Array): string {
    const profile = profiles.toWord(profileNumber);
    const signer = profile === undefined ? undefined : this.signers.get(issuers[profile]);
    if (signer === undefined) throw new Error('a request that no test makes');
    const { publicKey, dnsNames, ipAddresses } = parseCsr(csr);
    return signCertificate(
      {
        ...{ serial: newSerial(), commonName: 'test', organizations: [], publicKey, uris: [], dnsNames, ipAddresses },
        ...{ notBefore: new Date(nowMs - hourMs), notAfter: new Date(nowMs + 90 * 24 * hourMs) },
        usages: ['server', 'client'],
      },
      signer,
    );
  }
}
