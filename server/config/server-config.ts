/** The server's configuration, /etc/kube-mtls/server.yaml. Defaults stand in this schema and nowhere else. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { duration } from '../../common/config/duration.ts';
import { parseConfig } from '../../common/config/parse-config.ts';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import type { LogLevel } from '../../common/log/log.ts';
import { type Profile, profiles } from '../../common/names/names.ts';
import { checkedDns } from '../../common/x509/alternative-names.ts';
import { type Endpoint, firstAddressOf, formatEndpoint, parseEndpoint, parseHost } from './endpoints.ts';

/** Organization of the certificate with which API servers call kubelets; it decides what RBAC lets them do. */
export type KubeletClientOrganization = 'system:masters' | 'kubeadm:cluster-admins' | 'none';

/** Organization of the certificate in admin.conf; Kubernetes binds it to cluster-admin. */
export type AdminOrganization = 'system:masters' | 'kubeadm:cluster-admins';

/** The configuration with its defaults; durations in milliseconds. */
export interface ServerConfig {
  cluster: {
    /** Also the trust domain of identities. */
    name: string;
    /** HOST:PORT at which clients reach the API server. */
    apiEndpoint: string;
    serviceCidr: string;
    /** First address of the service network, which is the API server's own service. */
    serviceAddress: string;
    dnsDomain: string;
    /** How many nodes will join; undefined when nobody knows. */
    nodes?: number | undefined;
  };
  listen: { bootstrap: Endpoint; fleet: Endpoint };
  /** Connections at once from one address (an IPv6 /64 is one). */
  connectionsPerAddress: { bootstrap: number; fleet: number };
  /** Names and addresses of the server, for its certificate; the first is the one that nodes are told. */
  advertise: [string, ...string[]];
  stateFolder: string;
  /** Undefined: see readPassphrase. */
  passphraseFile: string | undefined;
  lifetimes: {
    /** For components, unless profilesMs has the profile. */
    componentsMs: number;
    profilesMs: Partial<Record<Profile, number>>;
    identityMs: number;
    adminMs: number;
    serverMs: number;
  };
  apiServer: {
    extraNames: string[];
    kubeletClientOrganization: KubeletClientOrganization;
    adminOrganization: AdminOrganization;
  };
  etcd: { extraNames: string[] };
  permits: {
    /** Share of the fleet's kubelets that may be disturbed at once, above 0, at most 1. */
    kubeletShare: number;
    ttlMs: number;
    /** How old a permit may become before it warns and gives its place in the share free. */
    maxAgeMs: number;
  };
  peers: { watchMs: number };
  /** Whether API servers check kubelets' certificates: auto with the first restart after every kubelet serves one of ours. */
  verifyKubelets: 'auto' | 'always' | 'never';
  logLevel: LogLevel;
}

const lifetime = duration('10m', '3650d');
const dayMs = 86_400_000;

const schema = z.strictObject({
  cluster: z.strictObject({
    name: z.string().regex(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, 'use a-z, 0-9, ".", "_" and "-", at most 63'),
    apiEndpoint: text((value) => formatEndpoint(parseEndpoint(value))),
    serviceCidr: text((value) => {
      firstAddressOf(value);
      return value;
    }).default('10.96.0.0/12'),
    dnsDomain: text(checkedDns).default('cluster.local'),
    nodes: z.int().min(1).max(5000).optional(),
  }),
  listen: z
    .strictObject({
      bootstrap: text(parseEndpoint).default({ host: '0.0.0.0', port: 9443 }),
      fleet: text(parseEndpoint).default({ host: '0.0.0.0', port: 9444 }),
    })
    .prefault({}),
  connectionsPerAddress: z
    .strictObject({
      // where many nodes that join share an address, they take turns
      bootstrap: z.int().min(1).max(1024).default(32),
      // a quarter of all: a whole site may come through one address, and its agents keep their connections
      fleet: z.int().min(1).max(4096).default(1024),
    })
    .prefault({}),
  advertise: z.tuple([text(parseHost)], text(parseHost)),
  stateFolder: absolutePath().default('/var/lib/kube-mtls-server'),
  passphraseFile: absolutePath().optional(),
  lifetimes: z
    .strictObject({
      components: lifetime.default(365 * dayMs),
      profiles: z.partialRecord(z.enum(profiles.all), lifetime).default({}),
      identity: lifetime.default(30 * dayMs),
      admin: lifetime.default(365 * dayMs),
      server: lifetime.default(90 * dayMs),
    })
    .prefault({}),
  apiServer: z
    .strictObject({
      extraNames: z.array(text(parseHost)).default([]),
      kubeletClientOrganization: z.enum(['system:masters', 'kubeadm:cluster-admins', 'none']).default('system:masters'),
      adminOrganization: z.enum(['system:masters', 'kubeadm:cluster-admins']).default('system:masters'),
    })
    .prefault({}),
  etcd: z.strictObject({ extraNames: z.array(text(parseHost)).default([]) }).prefault({}),
  permits: z
    .strictObject({
      kubeletShare: z
        .string()
        .regex(/^([1-9]\d?|100)%$/, 'give 1% to 100%')
        .transform((share) => Number.parseInt(share, 10) / 100)
        .default(0.1),
      ttl: duration('30s', '1h').default(120_000),
      maxAge: duration('5m', '24h').default(30 * 60_000),
    })
    .prefault({}),
  peers: z.strictObject({ watch: duration('1s', '5m').default(15_000) }).prefault({}),
  verifyKubelets: z.enum(['auto', 'always', 'never']).default('auto'),
  logLevel: z.enum(['error', 'warn', 'info', 'debug']).default('info'),
});

/**
 * The configuration in a YAML text.
 *
 * @param path names the file in messages
 * @throws AppError invalid-request with one "PATH:LINE: what is wrong" for each fault
 */
export function parseServerConfig(yaml: string, path: string): ServerConfig {
  const { cluster, lifetimes, permits, peers, passphraseFile, ...rest } = parseConfig(schema, yaml, path);
  return {
    ...rest,
    cluster: { ...cluster, serviceAddress: firstAddressOf(cluster.serviceCidr) },
    passphraseFile,
    lifetimes: {
      componentsMs: lifetimes.components,
      profilesMs: lifetimes.profiles,
      identityMs: lifetimes.identity,
      adminMs: lifetimes.admin,
      serverMs: lifetimes.server,
    },
    permits: { kubeletShare: permits.kubeletShare, ttlMs: permits.ttl, maxAgeMs: permits.maxAge },
    peers: { watchMs: peers.watch },
  };
}

/** Reads the file. Rejects 'not-found' when there is none, 'unavailable' when it cannot be read, else as parseServerConfig. */
export async function loadServerConfig(path: string): Promise<ServerConfig> {
  let yaml: string;
  try {
    yaml = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new AppError('not-found', `there is no ${path}: run kube-mtls-server init first`, { cause: error });
    }
    throw new AppError('unavailable', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  return parseServerConfig(yaml, path);
}

/** HOST:PORT at which nodes reach the bootstrap listener; it stands in join lines. */
export function bootstrapEndpoint(config: ServerConfig): string {
  return formatEndpoint({ host: config.advertise[0], port: config.listen.bootstrap.port });
}

/** HOST:PORT at which nodes reach the fleet listener. */
export function fleetEndpoint(config: ServerConfig): string {
  return formatEndpoint({ host: config.advertise[0], port: config.listen.fleet.port });
}

/** A text that a function reads, whose refusal becomes a fault of the field. */
function text<T>(read: (value: string) => T): z.ZodType<T, string> {
  return z.string().transform((value, context) => {
    try {
      return read(value);
    } catch (error) {
      context.addIssue({ code: 'custom', message: messageOf(error) });
      return z.NEVER;
    }
  });
}

function absolutePath(): z.ZodType<string, string> {
  return z.string().regex(/^\//, 'give an absolute path');
}
