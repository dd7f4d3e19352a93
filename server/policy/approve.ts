/** Policy: the only room that makes an Approval, and nothing is signed without one. */
import type { KeyObject } from 'node:crypto';
import { AppError } from '../../common/errors/app-error.ts';
import type { Authority, Profile } from '../../common/names/names.ts';
import type { ParsedCsr } from '../../common/x509/csr.ts';
import type { Usage } from '../../common/x509/extensions.ts';
import { assertStrongKey, publicKeyPin } from '../../common/x509/keys.ts';
import { BACKDATED_MS } from '../../common/x509/life.ts';
import type { Authorities } from '../authority/authorities.ts';
import { type Names, namesOf } from '../config/endpoints.ts';
import type { ServerConfig } from '../config/server-config.ts';
import type { NodeRecord } from '../store/store.ts';
import { allowedNames, whereToAllow } from './allowed-names.ts';
import { assertNotApiServer } from './node-rules.ts';
import { profileRules } from './profiles.ts';

/** Everything that a certificate will say, but its serial. */
interface ApprovalFields extends Names {
  authority: Authority;
  /** Undefined for identities, administrators and the server. */
  profile: Profile | undefined;
  /** A node's name, "admin/NAME" or "server". */
  holder: string;
  commonName: string;
  organizations: string[];
  usages: Usage[];
  uris: string[];
  publicKey: KeyObject;
  /** Whole seconds. */
  notBefore: Date;
  /** Whole seconds. */
  notAfter: Date;
}

/** Not exported: only this file can call its constructor. */
class PolicyApproval {
  readonly #approved = true;
  readonly fields: Readonly<ApprovalFields>;

  constructor(fields: ApprovalFields) {
    for (const part of [fields.dnsNames, fields.ipAddresses, fields.organizations, fields.usages, fields.uris]) {
      Object.freeze(part);
    }
    this.fields = Object.freeze(fields);
    Object.freeze(this);
  }

  static is(value: unknown): value is PolicyApproval {
    return typeof value === 'object' && value !== null && #approved in value && value.#approved;
  }
}

/** Leave to sign one certificate. */
export type Approval = PolicyApproval;

/** True for what this file made and nothing else, whatever the compiler was told. */
export const isApproval: (value: unknown) => value is Approval = PolicyApproval.is;

/** What every decision looks at. */
export interface PolicyContext {
  config: ServerConfig;
  authorities: Pick<Authorities, 'certificateFor'>;
  nowMs: number;
}

/** A certificate that a node asks for. */
export interface CertificateWish {
  node: NodeRecord;
  profile: Profile;
  csr: ParsedCsr;
  /** Who holds certificates for the key already, see Store.holderOfKey. */
  keyHolder: string | undefined;
}

/** A shorter certificate would expire before its node has taken it up. */
const leastLifetimeMs = 10 * 60_000;

/**
 * Approves a certificate for a component. Of the request only the key is used; names in it beyond the allowed are refused
 * by name, and the certificate carries all that are allowed.
 *
 * @throws AppError node-revoked, policy-refused
 */
export function approveCertificate(wish: CertificateWish, context: PolicyContext): Approval {
  const { node, profile, csr } = wish;
  const { config } = context;
  const rule = profileRules[profile];
  assertNotRevoked(node);
  if (!rule.roles.includes(node.role)) {
    throw refused(`${node.name} has the role ${node.role}, which gets no ${profile} certificate`);
  }
  assertOwnKey(wish.keyHolder, node.name);
  const names = allowedNames(rule.names, node, config);
  const organizations = rule.organizations(config);
  assertNoForeignNames(wish, names, organizations);
  if (rule.names === 'kubelet') assertNotApiServer(node, node.role, config);
  const lifetimeMs = config.lifetimes.profilesMs[profile] ?? config.lifetimes.componentsMs;
  return new PolicyApproval({
    ...names,
    authority: rule.authority,
    profile,
    holder: node.name,
    commonName: rule.commonName(node.name),
    organizations,
    usages: [...rule.usages],
    uris: [],
    publicKey: csr.publicKey,
    ...validity(rule.authority, profile, lifetimeMs, context),
  });
}

/**
 * Approves the identity with which a node calls this server. Names in the request are of no account.
 *
 * @throws AppError node-revoked, policy-refused
 */
export function approveIdentity(
  wish: { node: Pick<NodeRecord, 'name' | 'revoked'>; csr: ParsedCsr; keyHolder: string | undefined },
  context: PolicyContext,
): Approval {
  const { node, csr } = wish;
  assertNotRevoked(node);
  assertOwnKey(wish.keyHolder, node.name);
  return fleetApproval({ kind: 'node', holder: node.name, commonName: node.name, publicKey: csr.publicKey }, context);
}

/** Approves the certificate of an administrator; what that one may do stands in the store. */
export function approveAdmin(wish: { name: string; publicKey: KeyObject }, context: PolicyContext): Approval {
  const { name, publicKey } = wish;
  if (!/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(name))
    throw refused(`${JSON.stringify(name)} is no name for an administrator`);
  return fleetApproval({ kind: 'admin', holder: `admin/${name}`, commonName: name, publicKey }, context);
}

/** Approves the server's own TLS certificate, for every name at which it is reached. */
export function approveServer(wish: { hostname: string; publicKey: KeyObject }, context: PolicyContext): Approval {
  const hosts = serverHosts(wish.hostname, context.config);
  const common = {
    kind: 'server',
    holder: 'server',
    commonName: 'kube-mtls-server',
    publicKey: wish.publicKey,
  } as const;
  return fleetApproval(common, context, namesOf(hosts));
}

/** All names and addresses of the server's certificate, sorted. */
export function serverHosts(hostname: string, config: ServerConfig): string[] {
  return [...new Set(['localhost', '127.0.0.1', '::1', hostname.toLowerCase(), ...config.advertise])].sort();
}

function fleetApproval(
  wish: { kind: 'node' | 'admin' | 'server'; holder: string; commonName: string; publicKey: KeyObject },
  context: PolicyContext,
  names: Names = { dnsNames: [], ipAddresses: [] },
): Approval {
  const { kind, holder, commonName, publicKey } = wish;
  const { cluster, lifetimes } = context.config;
  assertStrongKey(publicKey);
  const path = kind === 'server' ? kind : `${kind}/${commonName}`;
  const lifetimeMs = { node: lifetimes.identityMs, admin: lifetimes.adminMs, server: lifetimes.serverMs }[kind];
  return new PolicyApproval({
    ...names,
    authority: 'fleet',
    profile: undefined,
    holder,
    commonName,
    organizations: [],
    usages: [kind === 'server' ? 'server' : 'client'],
    uris: [`spiffe://${cluster.name}/${path}`],
    publicKey,
    ...validity('fleet', undefined, lifetimeMs, context),
  });
}

function assertNotRevoked(node: Pick<NodeRecord, 'name' | 'revoked'>): void {
  if (node.revoked)
    throw new AppError('node-revoked', `${node.name} was revoked and gets no certificate: ask an operator`);
}

function assertOwnKey(keyHolder: string | undefined, holder: string): void {
  if (keyHolder === undefined || keyHolder === holder) return;
  throw refused('the key is in use by another holder: make a new one on this node, and find out how it got there');
}

function assertNoForeignNames({ node, profile, csr }: CertificateWish, names: Names, organizations: string[]): void {
  const foreign = [
    ...csr.dnsNames.filter((name) => !names.dnsNames.includes(name)),
    ...csr.ipAddresses.filter((address) => !names.ipAddresses.includes(address)),
    ...csr.otherNames.filter((name) => !organizations.some((organization) => name === `O=${organization}`)),
  ];
  if (foreign.length === 0) return;
  const more = foreign.length > 10 ? ` and ${foreign.length - 10} more` : '';
  const shown = foreign
    .slice(0, 10)
    .map((name) => name.slice(0, 100))
    .join(', ');
  const where = whereToAllow(profileRules[profile].names, node);
  throw refused(
    `the request for ${profile} asks for ${shown}${more}, beyond what ${node.name} may be called: ${where}`,
  );
}

function validity(
  authority: Authority,
  profile: Profile | undefined,
  lifetimeMs: number,
  context: PolicyContext,
): { notBefore: Date; notAfter: Date } {
  const { nowMs } = context;
  const endMs = context.authorities.certificateFor(authority, profile).notAfter.getTime();
  const notAfterMs = Math.min(nowMs + lifetimeMs, endMs);
  if (notAfterMs < nowMs + leastLifetimeMs) {
    throw refused(`the ${authority} CA ends ${new Date(endMs).toISOString()}: replace it before anything else`);
  }
  return { notBefore: wholeSecond(nowMs - BACKDATED_MS), notAfter: wholeSecond(notAfterMs) };
}

function wholeSecond(ms: number): Date {
  return new Date(Math.floor(ms / 1000) * 1000);
}

function refused(message: string): AppError {
  return new AppError('policy-refused', message);
}

/** Pin of the approved key. */
export function pinOf(approval: Approval): string {
  return publicKeyPin(approval.fields.publicKey);
}
