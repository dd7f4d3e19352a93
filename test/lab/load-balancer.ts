/** HAProxy in front of the API servers of a cluster: a program of this machine in the network of a host that runs nothing else. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from '../../common/run/command.ts';
import { installPackages } from './debian-packages.ts';
import type { Host } from './host.ts';

/** Installs HAProxy where it is not there; the service that Debian makes of it is not wanted. */
export async function installHaproxy(say: (text: string) => void): Promise<void> {
  const installed = await installPackages(['haproxy'], say);
  if (!installed.includes('haproxy')) return;
  // on a machine without systemd there may be nothing to stop
  await runCommand(['service', 'haproxy', 'stop']);
  await runCommand(['update-rc.d', 'haproxy', 'disable']);
}

/** One that runs. */
export class LoadBalancer {
  /** HOST:PORT of the one address of all API servers. */
  readonly endpoint: string;
  readonly #socket: string;

  readonly #start: () => ChildProcess;
  #child: ChildProcess;

  private constructor(endpoint: string, socket: string, start: () => ChildProcess) {
    this.endpoint = endpoint;
    this.#socket = socket;
    this.#start = start;
    this.#child = start();
  }

  /** Starts it; it ends with the host, and with this process. Which API server is up and which is down it tells as an error output. */
  static async start(host: Host, backends: readonly Host[]): Promise<LoadBalancer> {
    const file = (name: string) => join(host.folder, name);
    await writeFile(file('haproxy.cfg'), configuration(host, backends, file('haproxy.sock')));
    const start = () => {
      const child = host.spawnBeside(['haproxy', '-db', '-f', file('haproxy.cfg')]);
      child.stdin?.end();
      child.stdout?.resume();
      return child;
    };
    const balancer = new LoadBalancer(`${host.ip}:6443`, file('haproxy.sock'), start);
    const isOpen = async () => (await host.run(['bash', '-c', `exec 3<>/dev/tcp/${host.ip}/6443`])).code === 0;
    await host.until('HAProxy to listen', isOpen, 10_000);
    return balancer;
  }

  /** Kills it, and starts it again after so long; what it had counted is gone. */
  async beAway(ms: number): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    await delay(ms);
    this.#child = this.#start();
  }

  /** Connections dealt to each API server so far, by host name. */
  async dealt(): Promise<Map<string, number>> {
    const socket = connect(this.#socket);
    socket.end('show stat\n');
    const [header = '', ...rows] = (await text(socket)).split('\n').map((line) => line.split(','));
    const column = header.indexOf('lbtot');
    return new Map(
      rows
        .filter(([proxy, server = '']) => proxy === 'apiservers' && server !== 'BACKEND')
        .map((row) => [row[1] ?? '', Number(row[column])]),
    );
  }
}

/**
 * As kubeadm's guide has it ("Options for Software Load Balancing"), but asking /readyz every second, so that one that restarts is
 * out soon, and dialling another one at once when a connection is refused. Connections are dealt in turn.
 */
function configuration(host: Host, backends: readonly Host[], socket: string): string {
  const servers = backends.map(({ name, ip }) => `    server ${name} ${ip}:6443`);
  return `global
    stats socket ${socket}
defaults
    mode tcp
    timeout connect 2s
    timeout client 35s
    timeout server 35s
    timeout check 2s
    retries 3
    option redispatch 1
frontend apiserver
    bind ${host.ip}:6443
    default_backend apiservers
backend apiservers
    balance roundrobin
    option httpchk
    http-check connect ssl
    http-check send meth GET uri /readyz
    http-check expect status 200
    default-server check check-ssl verify none inter 1s fastinter 500ms fall 2 rise 1
${servers.join('\n')}
`;
}
