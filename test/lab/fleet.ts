/** Installs the real packages on test hosts, starts a CA server and joins nodes: what an operator does, command by command. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runChecked, runCommand } from '../../common/run/command.ts';
import type { Host } from './host.ts';
import { DIST } from './places.ts';

/** What `kube-mtls-server init` is told. */
export interface ServerOptions {
  cluster: string;
  /** HOST:PORT of the API server. */
  apiEndpoint: string;
  /** Folder of an existing PKI, or undefined for new CAs. */
  adopt?: string;
  /** Folder of an existing PKI whose CAs are to be replaced by new ones while the cluster runs. */
  trustOld?: string;
  /** Further settings of server.yaml, YAML. */
  settings?: string;
  /** How many nodes will join; undefined to say nothing of it. */
  nodes?: number;
  /** How long peers watch after a change; the default of the product is made for slow leases, tests of etcd need less. */
  peerWatch?: string;
}

/** How a node joins. */
export interface JoinOptions {
  role: 'control-plane' | 'worker' | 'etcd';
  observe?: boolean;
  nodeName?: string;
}

/** Builds the packages of this machine's architecture anew, so that what runs is what the checkout holds. */
export async function buildPackages(say: (text: string) => void): Promise<void> {
  if (process.env.KUBE_MTLS_PACKAGES === 'built' && existsSync(DIST)) return;
  say('building the packages');
  const builder = join(import.meta.dirname, '../../packaging/build-deb.ts');
  await runChecked(runCommand, [process.execPath, builder, '--arch', 'amd64'], { timeoutMs: 10 * 60_000 });
}

/** Installs a package from dist on a host. */
export async function installPackage(host: Host, name: 'server' | 'agent'): Promise<void> {
  const file = readdirSync(DIST).find((each) => each.startsWith(`kube-mtls-${name}_`) && each.endsWith('_amd64.deb'));
  if (file === undefined) throw new Error(`there is no kube-mtls-${name} package in dist: npm run build:deb`);
  await host.sh(`dpkg -i /opt/dist/${file} >/dev/null`, 180_000);
}

/** Installs, initialises and starts the CA server. Returns what `init` printed. */
export async function startServer(host: Host, options: ServerOptions): Promise<string> {
  await installPackage(host, 'server');
  const adopt = options.adopt === undefined ? '' : ` --adopt ${options.adopt}`;
  const trustOld = options.trustOld === undefined ? '' : ` --trust-old ${options.trustOld}`;
  const nodes = options.nodes === undefined ? '' : ` --nodes ${options.nodes}`;
  const printed = await host.sh(
    `kube-mtls-server init --cluster ${options.cluster} --api-endpoint ${options.apiEndpoint} --advertise ${host.ip}${adopt}${trustOld}${nodes}`,
  );
  const peers = options.peerWatch === undefined ? '' : `peers: {watch: ${options.peerWatch}}\n`;
  const settings = `${peers}${options.settings ?? ''}`;
  if (settings !== '') {
    const path = '/etc/kube-mtls/server.yaml';
    await host.write(path, `${await host.read(path)}\n${settings}`);
    // the server's certificate was made by init, before there were any settings: it shall live as they say
    await host.sh('rm -f /var/lib/kube-mtls-server/server/tls.*');
  }
  await host.sh('systemctl enable -q --now kube-mtls-server');
  await host.until('the CA server to answer', async () => (await host.run(['kube-mtls', 'fleet'])).code === 0, 30_000);
  return printed;
}

/** Makes a token on the server for exactly this node, and runs the printed join line on the node. */
export async function joinNode(server: Host, host: Host, options: JoinOptions): Promise<string> {
  await installPackage(host, 'agent');
  const name = options.nodeName ?? host.name;
  const line = await joinLine(server, `--role ${options.role} --node ${name}`);
  return await host.sh(`${line}${options.observe === true ? ' --observe' : ''}`);
}

/** The join line of a new token. */
export async function joinLine(server: Host, options: string): Promise<string> {
  const printed = await server.sh(`kube-mtls token create ${options} --print-join`);
  const line = printed.split('\n').find((each) => each.includes('kube-mtls-agent join'));
  if (line === undefined) throw new Error(`no join line in: ${printed}`);
  return line.trim();
}
