/** node remove: the end of a node in the fleet, and what is left for the operator to do. */
import type { Command } from 'commander';
import { RemoveNodeResponseSchema } from '../../proto/gen/kubemtls/v1/authority_pb.js';
import { type CommandContext, callAndPrint } from './command-context.ts';
import { printable } from './table.ts';

/** Adds the command below "node", which goes on showing a node where another name follows. */
export function addRemoveNode(node: Command, context: CommandContext): void {
  node
    .helpCommand(false) // "node help" is a node of this name
    .command('remove')
    .description('take a node that is gone for good, or hostile, out of the fleet; nothing waits for it any more')
    .argument('<name>', 'name of the node')
    .action((name: string, _options, command: Command) =>
      callAndPrint(
        context,
        command,
        RemoveNodeResponseSchema,
        ({ authorities }) => authorities.removeNode({ name }),
        ({ warnings }) => removed(name, warnings),
      ),
    );
}

function removed(name: string, warnings: readonly string[]): string {
  return [
    `${name} is removed from the fleet: nothing waits for it any more, and whatever it says is refused`,
    'the certificates that it has stay valid until they end: Kubernetes reads no revocation lists',
    ...warnings.map((warning) => `warning: ${printable(warning)}`),
    '',
    'next:',
    `  kubectl delete node ${name}`,
    '  if it ran etcd: take its member out (etcdctl member remove), before another member is changed',
    '  if it was hostile: kube-mtls authority rotate, which makes its certificates void; revoke tokens that it may know',
    `  to have it back, installed anew: kube-mtls token create --allow-reenroll --node ${name} --role ROLE`,
    '',
  ].join('\n');
}
