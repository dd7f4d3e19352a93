/** What init did and found, for its report. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../../common/names/names.ts';
import { authorities as words } from '../../common/names/names.ts';
import type { Authorities } from '../authority/authorities.ts';
import { type ClusterAuthority, caStems } from '../authority/import-authority.ts';
import { bootstrapEndpoint, type ServerConfig } from '../config/server-config.ts';
import type { ServerLayout } from '../config/server-layout.ts';

/** An authority as the report shows it. */
export interface AuthorityLine {
  authority: Authority;
  subject: string;
  notAfter: Date;
  imported: boolean;
}

/** The result of init. */
export interface InitResult {
  /** True when the server had been initialised with these options before. */
  already: boolean;
  cluster: string;
  /** sha256:HEX of the fleet CA's public key. */
  pin: string;
  /** HOST:PORT that join lines will name. */
  bootstrapEndpoint: string;
  /** Why this host is advertised; undefined when the operator said it. */
  advertiseWhy: string | undefined;
  authorities: AuthorityLine[];
  /** Authorities of which the cluster's own roots are trusted until the nodes have moved to ours; empty unless asked for. */
  moving: Authority[];
  /** Keys of imported CAs that lie, unencrypted, in the adopted folder still. */
  looseKeys: { authority: ClusterAuthority; path: string }[];
  configFile: string;
  stateFolder: string;
  passphraseFile: string;
  adminFolder: string;
  /** Sentences about what was found on the way. */
  notes: string[];
  /** When it was made; warnings depend on it. */
  nowMs: number;
}

/**
 * The facts that a configuration, its authorities and the layout have.
 *
 * @param adoptFolder absolute path of the folder named by --adopt
 */
export function resultOf(
  config: ServerConfig,
  authorities: Authorities,
  layout: ServerLayout,
  adoptFolder: string | undefined,
): Omit<InitResult, 'already' | 'advertiseWhy' | 'notes' | 'nowMs'> {
  return {
    cluster: config.cluster.name,
    pin: authorities.certificate('fleet').publicKeyPin,
    bootstrapEndpoint: bootstrapEndpoint(config),
    authorities: words.all.map((authority) => {
      const { subject, notAfter } = authorities.certificate(authority);
      return { authority, subject, notAfter, imported: authorities.imported(authority) };
    }),
    moving: words.all.filter((authority) => authorities.phase(authority) !== 'settled'),
    looseKeys: caStems
      .map(([authority, stem]) => ({
        authority,
        path: adoptFolder === undefined ? '' : join(adoptFolder, `${stem}.key`),
      }))
      .filter(({ authority, path }) => path !== '' && authorities.imported(authority) && existsSync(path)),
    configFile: layout.configFile,
    stateFolder: config.stateFolder,
    passphraseFile: config.passphraseFile ?? layout.passphraseFile,
    adminFolder: layout.adminFolder,
  };
}
