/** The main job, seen from start to end on real hosts: `npm run demo`. */
import { parseArgs } from 'node:util';
import { installPackages } from '../lab/debian-packages.ts';
import { buildPackages } from '../lab/fleet.ts';
import { Lab } from '../lab/lab.ts';
import { makeBaseImage, makeKubernetes } from '../lab/made-once.ts';
import { runEtcdDemo } from './etcd-demo.ts';
import { runKubernetesDemo } from './kubernetes-demo.ts';

const HELP = `npm run demo [-- OPTIONS]        (as root, on Debian 12 or 13)

Boots real systemd hosts in containers of their own, installs the packages, starts the CA server, joins the nodes,
and ends with the fleet table and the answer of GetFleetStatus, fetched with a gRPC client that has no .proto file.

  (nothing)      three hosts, one etcd cluster that speaks plaintext: it becomes mutual TLS member by member
  --kubernetes   a real Kubernetes v1.20.2 cluster on two hosts, adopted (the first time it is built: six minutes more)
  --keep         leave the hosts running until you press Enter, to look around
  --help         this text
`;

const { values } = parseArgs({
  options: { kubernetes: { type: 'boolean' }, keep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
});

const startedMs = Date.now();
/** Progress, with the seconds since the start. */
function say(text: string): void {
  console.log(`[${String(Math.round((Date.now() - startedMs) / 1000)).padStart(3)} s] ${text}`);
}

async function main(): Promise<boolean> {
  await makeBaseImage(say);
  await installPackages(['dpkg-dev'], say);
  if (values.kubernetes) await makeKubernetes(say);
  await buildPackages(say);
  const lab = await Lab.open(say);
  try {
    const good = values.kubernetes ? await runKubernetesDemo(lab, say) : await runEtcdDemo(lab, say);
    if (values.keep) await waitForEnter();
    return good;
  } finally {
    await lab.close();
    say('all hosts are down');
  }
}

async function waitForEnter(): Promise<void> {
  console.log(
    '\nThe hosts run on. Enter one with:  nsenter -t $(pgrep -P $(pgrep -f machine=NAME | head -1) | head -1) -a bash',
  );
  console.log('Press Enter to take them down.');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.pause();
}

if (values.help) {
  console.log(HELP);
} else {
  const good = await main();
  if (!good) process.exitCode = 1;
}
