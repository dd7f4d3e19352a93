/** The operator's seat: beside the hosts' switch, with the administrator's certificate, and with no .proto file. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CommandResult } from '../../common/run/command.ts';
import type { Host } from './host.ts';

const BUF = join(import.meta.dirname, '../../node_modules/.bin/buf');
const ADMIN = '/etc/kube-mtls/admin';

/** Calls the fleet listener with `buf curl`, which learns the API by reflection. */
export class Operator {
  readonly #server: Host;
  readonly #folder: string;

  private constructor(server: Host, folder: string) {
    this.#server = server;
    this.#folder = folder;
  }

  /** Fetches the administrator's certificate from the server host. */
  static async of(server: Host): Promise<Operator> {
    const folder = await mkdtemp(join(tmpdir(), 'kube-mtls-operator-'));
    for (const file of ['ca.crt', 'admin.crt', 'admin.key']) {
      await writeFile(join(folder, file), await server.read(`${ADMIN}/${file}`), { mode: 0o600 });
    }
    return new Operator(server, folder);
  }

  /** Runs `buf curl` with these words; `certificate` false leaves the client certificate out. */
  curl(words: readonly string[], certificate = true): Promise<CommandResult> {
    const file = (name: string) => join(this.#folder, name);
    const own = certificate ? ['--cert', file('admin.crt'), '--key', file('admin.key')] : [];
    const command = [BUF, 'curl', '--protocol', 'grpc', '--cacert', file('ca.crt'), ...own, ...words];
    return this.#server.runAtSwitch(command, { timeoutMs: 60_000 });
  }

  /** URL of a method, or of the listener. */
  url(method = ''): string {
    return `https://${this.#server.ip}:9444${method === '' ? '' : `/${method}`}`;
  }

  /** Calls a method by its short name ("FleetService/GetNode") and returns the JSON text of the answer. */
  async call(method: string, request: object = {}): Promise<string> {
    const result = await this.curl(['--data', JSON.stringify(request), this.url(`kubemtls.v1.${method}`)]);
    if (result.code !== 0) throw new Error(`${method}: ${result.stderr}`);
    return result.stdout;
  }

  /** Removes the credentials. */
  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
