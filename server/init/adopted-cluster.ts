/** What the folder of an existing cluster, /etc/kubernetes/pki as kubeadm lays it out, says besides its CAs. */
import { join } from 'node:path';
import { AppError, messageOf } from '../../common/errors/app-error.ts';
import { type Certificate, parseCertificate, parseCertificates } from '../../common/x509/certificate.ts';
import type { Authorities } from '../authority/authorities.ts';
import { readIfThere } from '../authority/authority-files.ts';
import { caStems, importAuthority } from '../authority/import-authority.ts';
import { readOldRoots } from '../authority/read-old-roots.ts';
import { endpointHost, firstAddressOf, parseHost } from '../config/endpoints.ts';
import type { KubeletClientOrganization } from '../config/server-config.ts';
import type { InitOptions } from './init-options.ts';

/** What was found. */
export interface AdoptedCluster {
  /** Names and addresses of the API server's certificate that nothing else accounts for. */
  extraNames: string[];
  /** Undefined when the certificate is not there or has another organization. */
  kubeletClientOrganization: KubeletClientOrganization | undefined;
  /** Sentences for the operator. */
  notes: string[];
}

/**
 * Reads and judges everything that will be adopted; writes nothing.
 *
 * @param known names and addresses of this machine, which its API server's certificate carries anyway
 * @throws AppError invalid-request naming the file that cannot be adopted
 */
export async function readAdoptedCluster(
  folder: string,
  options: InitOptions,
  known: readonly string[],
  nowMs: number,
): Promise<AdoptedCluster> {
  for (const [authority, stem] of caStems) {
    const found = await importAuthority(folder, authority, nowMs);
    if (found === undefined && authority === 'kubernetes') {
      throw new AppError(
        'invalid-request',
        `there is no ${join(folder, `${stem}.crt`)}: give the folder of the cluster's CAs`,
      );
    }
  }
  return readCertificates(folder, options, known, []);
}

/**
 * Reads and judges a cluster that shall move to CAs of ours; writes nothing.
 *
 * @param known see readAdoptedCluster
 * @throws AppError invalid-request naming the file that cannot be used
 */
export async function readTrustedCluster(
  folder: string,
  options: InitOptions,
  known: readonly string[],
): Promise<AdoptedCluster> {
  const roots = await readOldRoots(folder);
  const missing = caStems.filter(([authority]) => !roots.has(authority));
  const notes = missing.map(
    ([authority, stem]) =>
      `${join(folder, `${stem}.crt`)} is not there: nobody is taken to trust the ${authority} CA of the cluster`,
  );
  return readCertificates(folder, options, known, notes);
}

async function readCertificates(
  folder: string,
  options: InitOptions,
  known: readonly string[],
  notes: string[],
): Promise<AdoptedCluster> {
  const extraNames = await readExtraNames(folder, new Set([...standardNames(options), ...known]), notes);
  const kubeletClientOrganization = await readOrganization(folder, notes);
  return { extraNames, kubeletClientOrganization, notes };
}

/**
 * Checks that the folder has CAs that the server holds or held, or whose roots it trusts; their keys may be gone by now.
 *
 * @throws AppError conflict when it has others, invalid-request when it has none or they cannot be read
 */
export async function assertSameCluster(folder: string, authorities: Authorities): Promise<void> {
  for (const [authority, stem] of caStems) {
    const file = join(folder, `${stem}.crt`);
    const pem = await readIfThere(file);
    if (pem === undefined && authority === 'kubernetes') {
      throw new AppError('invalid-request', `there is no ${file}: give the folder of the cluster's CAs`);
    }
    if (pem === undefined) continue;
    const known = new Set(authorities.all(authority).map((ca) => ca.certificate.sha256));
    if (reading(file, () => parseCertificates(pem)).some((certificate) => known.has(certificate.sha256))) continue;
    throw new AppError(
      'conflict',
      `the server is initialised with another ${authority} CA than the one in ${file}: init replaces no CA`,
    );
  }
}

/** What every API server's certificate carries, see policy/allowed-names.ts. */
function standardNames({ apiEndpoint, serviceCidr, dnsDomain }: InitOptions): string[] {
  const service = 'kubernetes.default.svc';
  const loopback = ['localhost', '127.0.0.1', '::1'];
  const domain = `${service}.${dnsDomain.toLowerCase()}`;
  const addresses = [endpointHost(apiEndpoint), firstAddressOf(serviceCidr)];
  return ['kubernetes', 'kubernetes.default', service, domain, ...loopback, ...addresses];
}

async function readExtraNames(folder: string, standard: ReadonlySet<string>, notes: string[]): Promise<string[]> {
  const file = join(folder, 'apiserver.crt');
  const certificate = await readCertificate(file);
  if (certificate === undefined) {
    notes.push(`there is no ${file}: add names by which clients call API servers to apiServer.extraNames yourself`);
    return [];
  }
  const extra: string[] = [];
  for (const name of [...certificate.dnsNames, ...certificate.ipAddresses]) {
    try {
      const host = parseHost(name);
      if (!standard.has(host) && !extra.includes(host)) extra.push(host);
    } catch (error) {
      notes.push(`a name in ${file} is not taken over: ${messageOf(error)}`);
    }
  }
  if (extra.length > 0) notes.push(`API servers keep these names of ${file}: ${extra.join(', ')}`);
  return extra;
}

async function readOrganization(folder: string, notes: string[]): Promise<KubeletClientOrganization | undefined> {
  const file = join(folder, 'apiserver-kubelet-client.crt');
  const certificate = await readCertificate(file);
  if (certificate === undefined) {
    notes.push(`there is no ${file}: see that apiServer.kubeletClientOrganization suits the cluster`);
    return undefined;
  }
  const [organization, ...more] = certificate.organizations;
  if (organization === undefined) return 'none';
  if (more.length === 0 && (organization === 'system:masters' || organization === 'kubeadm:cluster-admins')) {
    return organization;
  }
  const found = JSON.stringify(certificate.organizations.join(', '));
  notes.push(`${file} has the organization ${found}, which is not taken over: see apiServer.kubeletClientOrganization`);
  return undefined;
}

async function readCertificate(file: string): Promise<Certificate | undefined> {
  const pem = await readIfThere(file);
  return pem === undefined ? undefined : reading(file, () => parseCertificate(pem));
}

function reading<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AppError('invalid-request', `cannot adopt ${file}: ${messageOf(error)}`, { cause: error });
  }
}
