/** A node of the fleet: a machine, its enrolment, its agent and the wire to the server. */
import { runAgent } from '../../agent/agent.ts';
import { loadAgentConfig } from '../../agent/config/agent-config.ts';
import { requireEnrolment, saveEnrolment } from '../../agent/enrol/enrolment.ts';
import { joinFleet } from '../../agent/enrol/join.ts';
import type { LogFields } from '../../common/log/fields.ts';
import { type Log, silentLog } from '../../common/log/log.ts';
import { type Role, roles } from '../../common/names/names.ts';
import type { Disturbances } from './disturbances.ts';
import type { FakeMachine } from './fake-machine.ts';
import type { Clients, TestServer } from './server-fixture.ts';
import { Wire } from './wire.ts';

/** The node. */
export class FleetNode {
  readonly machine: FakeMachine;
  readonly wire: Wire;
  /** What its agent logged but for details of its work, over all its lives. */
  readonly logged: [message: string, fields: LogFields][] = [];
  readonly #disturbances: Disturbances;
  #life: { stop: AbortController; over: Promise<void> } | undefined;

  private constructor(machine: FakeMachine, wire: Wire, disturbances: Disturbances) {
    this.#disturbances = disturbances;
    this.machine = machine;
    this.wire = wire;
  }

  /** Joins as the printed line does, with a token for this node. Rejects as joinFleet. */
  static async join(
    fleet: { server: TestServer; admin: Clients; disturbances: Disturbances },
    machine: FakeMachine,
    role: Role,
  ): Promise<FleetNode> {
    const { name, address, layout, clock } = machine;
    const { token } = await fleet.admin.tokens.createToken({
      role: roles.toNumber(role),
      nodeNames: [name],
      addresses: [address],
    });
    const enrolment = await joinFleet(
      { layout, clock },
      {
        server: `127.0.0.1:${fleet.server.bootstrapPort}`,
        token,
        caHash: fleet.server.authorities.certificate('fleet').publicKeyPin,
        nodeName: name,
        mode: 'enforce',
        keyAlgorithm: 'ecdsa-p256',
      },
    );
    const wire = await Wire.open(() => fleet.server.fleetPort);
    await saveEnrolment(layout, { ...enrolment, fleetEndpoint: wire.address });
    return new FleetNode(machine, wire, fleet.disturbances);
  }

  get name(): string {
    return this.machine.name;
  }

  /** True while its agent runs and its wire is whole. */
  get isReachable(): boolean {
    return this.#life !== undefined && !this.wire.isCut;
  }

  /** Starts the daemon as agent/main.ts does. */
  start(): void {
    const stop = new AbortController();
    this.#life = { stop, over: this.#run(stop.signal) };
  }

  /** Stops it as systemd does. Rejects with what ended it before. */
  async stop(): Promise<void> {
    const life = this.#life;
    this.#life = undefined;
    life?.stop.abort();
    await life?.over;
  }

  /** Messages that the agent logged, with their details. */
  said(pattern: RegExp): string[] {
    const texts = this.logged.map(([message, fields]) => `${message} ${fields.detail ?? ''} ${fields.error ?? ''}`);
    return texts.filter((text) => pattern.test(text));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { layout, machine } = this.machine;
    const note = (message: string, fields: LogFields = {}) => {
      this.logged.push([message, fields]);
      this.#disturbances.heard(this.name, message);
    };
    const log: Log = { ...silentLog, info: note, warn: note, error: note };
    const config = await loadAgentConfig(layout.configFile);
    const enrolment = await requireEnrolment(layout);
    await runAgent({ layout, enrolment, config, log, machine }, signal);
  }
}
