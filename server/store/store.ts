/**
 * What the server remembers, whatever engine keeps it. Every method is one atomic, durable step, so that an engine
 * without transactions across calls (etcd) can keep the same promises.
 */
import type { Authority, Component, Mode, Profile, Role, RotationPhase } from '../../common/names/names.ts';
import type { AdminRole } from '../caller.ts';

/** A node of the fleet. */
export interface NodeRecord {
  name: string;
  role: Role;
  /** IP addresses, as the operator gave them or the connection showed them. */
  addresses: string[];
  /** sha256:HEX of the identity key's SubjectPublicKeyInfo. */
  identityPin: string;
  identitySerial: string;
  /** Serial of the identity that was renewed, until the new one is used: the answer may have been lost. Else ''. */
  identityBefore: string;
  identityNotAfterMs: number;
  enrolledAtMs: number;
  /** Identifier of the token that enrolled it, last. */
  tokenId: string;
  lastSeenAtMs: number;
  agentVersion: string;
  mode: Mode | undefined;
  /** Clock of the node less ours; undefined before the first measurement. */
  clockSkewMs: number | undefined;
  revoked: boolean;
}

/** An administrator; the role stands here and not in the certificate. */
export interface AdminRecord {
  name: string;
  role: AdminRole;
  /** Serial of the certificate that is valid now; others of the same name are refused. */
  serial: string;
}

/** A bootstrap token. */
export interface TokenRecord {
  id: string;
  /** SHA-256 of the secret, hexadecimal; the secret has at least 128 random bits, so that no slower hash is needed. */
  secretSha256: string;
  role: Role;
  nodeNames: string[];
  addresses: string[];
  sourceNetworks: string[];
  expiresAtMs: number;
  maxUses: number;
  uses: number;
  revoked: boolean;
  allowReenroll: boolean;
  createdBy: string;
  createdAtMs: number;
}

/** A serial number and what it was meant for; recorded before the signature exists. */
export interface CertificateIntent {
  serial: string;
  authority: Authority;
  /** Undefined for identities, administrators and the server itself. */
  profile: Profile | undefined;
  /** A node's name, "admin/NAME" or "server". */
  holder: string;
  subject: string;
  dnsNames: string[];
  ipAddresses: string[];
  uris: string[];
  notBeforeMs: number;
  notAfterMs: number;
  /** sha256:HEX of the certified key. */
  publicKeyPin: string;
  changeId: string;
}

/** A certificate in the inventory. */
export interface CertificateRow extends CertificateIntent {
  /** Rises with every intent. */
  sequence: number;
  state: 'intended' | 'issued';
  /** SHA-256 of the DER, hexadecimal; empty while intended. */
  sha256: string;
  pem: string;
}

/** Something that happened. */
export interface EventDraft {
  kind: string;
  actor: string;
  node: string;
  reason: string;
  message: string;
  source: string;
}

/** An event as recorded. */
export interface EventRow extends EventDraft {
  sequence: number;
  atMs: number;
}

/** The rollout. */
export interface RolloutRecord {
  paused: boolean;
  reason: string;
  node: string;
  pausedAtMs: number;
  /** Rises at every resume. */
  retryGeneration: number;
  /** Nodes for which it stays paused. */
  leftOut: readonly string[];
}

/** The newest permit that a node was granted for a component. */
export interface PermitGrant {
  node: string;
  component: Component;
  permitId: string;
  /** When the permit was granted first; renewals leave it as it is. */
  grantedAtMs: number;
  /** True when it takes a place in the share of kubelets. */
  inShare: boolean;
  /** True once a failure under it has stopped the rollout. */
  stopped: boolean;
}

/** Which CAs of an authority count, each by sha256:HEX of its key. */
export interface AuthorityLine {
  authority: Authority;
  /** The newest; it signs, in the phase trust probes only. */
  current: string;
  /** Roots that are trusted too: while they change the CA that is replaced first, then those that stood in its file and stay. */
  old: string[];
  /** The one of `old` that signs leaves in the phase trust; '' when the server has not its key. */
  oldSigner: string;
  /** Roots that shall be trusted no more, newest first. */
  retired: string[];
}

/** How far the change of roots has come, and which CAs count by it. */
export interface RotationRecord {
  /** Rises with every change of the record, by one. */
  generation: number;
  phase: RotationPhase;
  phaseStartedAtMs: number;
  /** True when the next phase begins by itself. */
  automatic: boolean;
  /** Those whose root changes; empty when settled. */
  authorities: Exclude<Authority, 'fleet'>[];
  /** Authorities without a line have only the CA that init made or imported. */
  lines: AuthorityLine[];
}

/** A page of rows; `before` is the sequence or name to go on after, undefined for the first page. */
export interface PageOf<Row> {
  rows: Row[];
  next: string | undefined;
}

/** Which page. */
export interface PageQuery {
  size: number;
  /** `next` of the page before. */
  after: string | undefined;
}

/** What an enrolment writes, all or nothing. */
export interface Enrolment {
  node: NodeRecord;
  /** Counts one use of this token; undefined when the same enrolment is retried. */
  useToken: string | undefined;
}

/** The store. Rejects 'unavailable' when the engine fails. */
export interface Store {
  getNode(name: string): Promise<NodeRecord | undefined>;
  /** All nodes by name. */
  listNodes(): Promise<NodeRecord[]>;
  /** Records the node and the use of its token. Rejects 'conflict' when the token has no use left. */
  enrol(enrolment: Enrolment): Promise<void>;
  /** Changes fields of a node; unknown names are ignored. */
  updateNode(name: string, fields: Partial<Omit<NodeRecord, 'name'>>): Promise<void>;

  getAdmin(name: string): Promise<AdminRecord | undefined>;
  /** Adds or replaces. */
  putAdmin(admin: AdminRecord): Promise<void>;

  insertToken(token: TokenRecord): Promise<void>;
  getToken(id: string): Promise<TokenRecord | undefined>;
  /** Newest first. */
  listTokens(page: PageQuery): Promise<PageOf<TokenRecord>>;
  /** Returns false for an unknown token. */
  revokeToken(id: string): Promise<boolean>;

  /**
   * Records serials and intents, and appends their events, all or none. Rejects 'conflict' on a serial used before or a key
   * certified for another holder.
   */
  recordIntents(intents: readonly CertificateIntent[], events?: readonly EventDraft[]): Promise<void>;
  /** Records the signatures and appends their events, all or none. */
  recordIssued(
    issued: readonly { authority: Authority; serial: string; sha256: string; pem: string }[],
    events?: readonly EventDraft[],
  ): Promise<void>;
  /** Who holds certificates for this key, or undefined. */
  holderOfKey(publicKeyPin: string): Promise<string | undefined>;
  /** Newest first. */
  listCertificates(
    filter: { holder?: string; profile?: Profile; expiringBeforeMs?: number },
    page: PageQuery,
  ): Promise<PageOf<CertificateRow>>;
  getCertificate(authority: Authority, serial: string): Promise<CertificateRow | undefined>;

  /** Latest status of a component; `status` is a serialized kubemtls.v1.ComponentStatus. */
  putStatus(node: string, component: Component, status: Uint8Array): Promise<void>;
  /** Forgets a component that the node runs no more; one that is not known is no error. */
  deleteStatus(node: string, component: Component): Promise<void>;
  listStatuses(): Promise<{ node: string; component: Component; status: Uint8Array }[]>;
  /** Latest inventory of a node; a serialized kubemtls.v1.Inventory. */
  putInventory(node: string, inventory: Uint8Array): Promise<void>;
  getInventory(node: string): Promise<Uint8Array | undefined>;

  /** Appends; there is no way to change or remove an event. */
  appendEvent(event: EventDraft): Promise<void>;
  /** Newest first; kind is exact or a prefix up to a dot. */
  listEvents(filter: { node?: string; kind?: string }, page: PageQuery): Promise<PageOf<EventRow>>;

  getRollout(): Promise<RolloutRecord>;
  putRollout(rollout: RolloutRecord): Promise<void>;

  /** Adds or replaces, one a node and component, all or none; those of unknown nodes are not kept. */
  putGrants(grants: readonly PermitGrant[]): Promise<void>;
  /** By node and component. */
  listGrants(): Promise<PermitGrant[]>;

  /** Settled, of generation 0, before the first change of roots. */
  getRotation(): Promise<RotationRecord>;
  /**
   * Replaces the record and appends the events, both or neither. Rejects 'conflict' unless its generation is the one after
   * the generation on record.
   */
  putRotation(rotation: RotationRecord, events: readonly EventDraft[]): Promise<void>;

  close(): Promise<void>;
}
