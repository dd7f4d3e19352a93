/** Where the server keeps things. One object, so that tests move it below a temporary root. */
import { join } from 'node:path';

/** Folders and files of the server. */
export interface ServerLayout {
  configFile: string;
  /** Passphrase of the CA keys; read by root, handed to the unit as the credential ca-passphrase. */
  passphraseFile: string;
  /** ca.crt, admin.crt, admin.key of the first administrator. */
  adminFolder: string;
  stateFolder: string;
}

/** The layout below a root, by default the machine's own. */
export function serverLayoutBelow(root = ''): ServerLayout {
  return {
    configFile: join(root, '/etc/kube-mtls/server.yaml'),
    passphraseFile: join(root, '/etc/kube-mtls/ca-passphrase'),
    adminFolder: join(root, '/etc/kube-mtls/admin'),
    stateFolder: join(root, '/var/lib/kube-mtls-server'),
  };
}

/** The database in a state folder. */
export function databaseFile(stateFolder: string): string {
  return join(stateFolder, 'kube-mtls.db');
}

/** Certificates, keys and the list of authorities in a state folder. */
export function authorityFolder(stateFolder: string): string {
  return join(stateFolder, 'ca');
}

/** The server's own TLS certificate and key, tls.crt and tls.key, in a state folder. */
export function serverFolder(stateFolder: string): string {
  return join(stateFolder, 'server');
}
