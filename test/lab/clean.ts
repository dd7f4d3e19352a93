/** `npm run lab:clean`: removes what killed labs left, and with --all what is made once a machine too. */
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { clearLeftovers, waitForNoLab } from './lab-place.ts';
import { LAB } from './places.ts';

const HELP = `npm run lab:clean [-- --all]        (as root)

Removes the folders that killed labs left; their hosts, networks and mounts have ended with them. Labs that run are left alone.

  --all     waits for labs that run, up to half an hour, and removes everything in ${LAB}: base image, Kubernetes, kept clusters, logs
`;

const { values } = parseArgs({ options: { all: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } });
if (values.help === true) {
  console.log(HELP);
} else {
  for (const folder of await clearLeftovers()) console.log(`removed ${folder}`);
  if (values.all === true) {
    await waitForNoLab(30 * 60_000);
    await rm(LAB, { recursive: true, force: true });
    console.log(`removed ${LAB}`);
  }
}
