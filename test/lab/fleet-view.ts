/** The fleet as an operator's client sees it, for tests to wait on and to look into. */
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../../common/errors/app-error.ts';
import type { Operator } from './operator.ts';
import { type StageEvent, stageTable } from './stage-table.ts';

/** A check in the JSON of the API. */
export interface CheckView {
  kind: string;
  result: string;
  summary: string;
  evidence?: { source: string; line: string; cause?: string }[];
}

/** A component in the JSON of the API. */
export interface ComponentView {
  component: string;
  state: string;
  reason?: string;
  restarts?: number;
  reloads?: number;
  updatedAt?: string;
  checks?: CheckView[];
  certificates?: { profile: string; serial: string; path: string }[];
}

/** A node in the JSON of the API. */
export interface NodeView {
  components?: ComponentView[];
  certificates?: { path: string; consumer: string; issuer?: string; serial?: string; managed?: boolean }[];
}

/** Asks through one operator. */
export class FleetView {
  readonly #operator: Pick<Operator, 'call'>;
  readonly #everyMs: number;

  constructor(operator: Pick<Operator, 'call'>, everyMs = 500) {
    this.#operator = operator;
    this.#everyMs = everyMs;
  }

  /** GetNode. */
  async node(name: string): Promise<NodeView> {
    return JSON.parse(await this.#operator.call('FleetService/GetNode', { name })) as NodeView; // the API's own JSON
  }

  /** How long each component stood at each stage since then; see stageTable. */
  async stages(sinceMs: number): Promise<string> {
    const events: StageEvent[] = [];
    for (let pageToken = ''; ; ) {
      const page = { pageSize: 1000, pageToken };
      const answer = JSON.parse(await this.#operator.call('FleetService/ListEvents', { kind: 'component', page }));
      events.push(...(answer.events ?? []));
      pageToken = answer.nextPageToken ?? '';
      if (pageToken === '') return stageTable(events, sinceMs, Date.now());
    }
  }

  /** One component of a node, or undefined while it is not known; by its program's name. */
  async component(node: string, component: string): Promise<ComponentView | undefined> {
    const wanted = `COMPONENT_${component.toUpperCase().replaceAll('-', '_')}`;
    return (await this.node(node)).components?.find((each) => each.component === wanted);
  }

  /**
   * Waits until a component is in one of the states; fails with what it is in, and with the last failure to ask when that came after.
   *
   * @param since - what it was seen as before, which does not count
   */
  async until(
    node: string,
    component: string,
    states: readonly string[],
    timeoutMs: number,
    since?: ComponentView,
  ): Promise<ComponentView> {
    const wanted = states.map((state) => `COMPONENT_STATE_${state}`);
    const endMs = Date.now() + timeoutMs;
    let last: ComponentView | undefined;
    for (;;) {
      let failure: unknown; // the API may be away while its server is being changed
      try {
        last = await this.component(node, component);
        if (last !== undefined && wanted.includes(last.state) && last.updatedAt !== since?.updatedAt) return last;
      } catch (error) {
        failure = error;
      }
      if (Date.now() > endMs) {
        const seen = last === undefined ? 'not known' : JSON.stringify(last, null, 1);
        const asked = failure === undefined ? '' : `; and then the fleet did not answer: ${messageOf(failure)}`;
        const message = `${component} on ${node} is not ${states.join(' or ')} but ${seen}${asked}`;
        throw new Error(message, { cause: failure });
      }
      await delay(this.#everyMs);
    }
  }
}
