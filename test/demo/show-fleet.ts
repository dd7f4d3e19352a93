/** Waits for the fleet, and shows it as an operator sees it. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Host } from '../lab/host.ts';
import { Operator } from '../lab/operator.ts';

interface Row {
  name: string;
  components?: { component: string; state: string; reason?: string }[];
}

/** Waits until every component of these nodes is VERIFIED, telling each step; false when one fails or time runs out. */
export async function waitForFleet(
  server: Host,
  wanted: Record<string, number>,
  say: (text: string) => void,
  timeoutMs: number,
): Promise<boolean> {
  const operator = await Operator.of(server);
  const told = new Map<string, string>();
  const endMs = Date.now() + timeoutMs;
  try {
    while (Date.now() < endMs) {
      const { nodes = [] } = JSON.parse(await operator.call('FleetService/GetFleetStatus')) as { nodes?: Row[] };
      for (const { name, components = [] } of nodes) {
        for (const { component, state, reason = '' } of components) {
          const key = `${name} ${word(component)}`;
          const now = `${word(state)}${reason === '' ? '' : `: ${reason.slice(0, 200)}`}`;
          if (told.get(key) !== now) say(`${key} ${now}`);
          told.set(key, now);
        }
      }
      const all = nodes.flatMap(({ components = [] }) => components);
      const counted = Object.entries(wanted).every(
        ([name, count]) => nodes.find((node) => node.name === name)?.components?.length === count,
      );
      if (counted && all.every(({ state }) => state === 'COMPONENT_STATE_VERIFIED')) return true;
      if (all.some(({ state }) => state === 'COMPONENT_STATE_ROLLED_BACK')) return false;
      await delay(1000);
    }
    return false;
  } finally {
    await operator.close();
  }
}

/** Prints the fleet table, and the raw answer of a client that learnt the API by reflection. */
export async function showFleet(server: Host): Promise<void> {
  console.log(`\n$ kube-mtls fleet\n${await server.sh('kube-mtls fleet')}`);
  const operator = await Operator.of(server);
  try {
    const command = `buf curl --protocol grpc --cacert ca.crt --cert admin.crt --key admin.key ${operator.url('kubemtls.v1.FleetService/GetFleetStatus')}`;
    console.log(`$ ${command}\n${await operator.call('FleetService/GetFleetStatus')}`);
  } finally {
    await operator.close();
  }
}

function word(value: string): string {
  return value
    .replace(/^COMPONENT_STATE_|^COMPONENT_/, '')
    .toLowerCase()
    .replaceAll('_', '-');
}
