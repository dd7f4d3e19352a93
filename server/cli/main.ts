/** kube-mtls: the command line of operators, over the same gRPC API that grpcurl can use. Only this file ends the process. */
import { systemClock } from '../../common/time/clock.ts';
import { runCommandLine } from './run-command-line.ts';

process.exitCode = await runCommandLine(process.argv.slice(2), {
  clock: systemClock,
  writeOut: (text) => {
    process.stdout.write(text);
  },
  writeErr: (text) => {
    process.stderr.write(text);
  },
});
