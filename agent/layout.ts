/** Where the agent keeps things on a node. One object, so that tests move it below a temporary root. */
import { join } from 'node:path';
import type { Component } from '../common/names/names.ts';

/** Folders and files of the agent. */
export interface Layout {
  /** Prefix of every path, '' in production. */
  root: string;
  /** Configuration by the operator, YAML. */
  configFile: string;
  /** What `join` recorded: server, node name, mode; JSON. */
  enrolmentFile: string;
  /** Folder of the node's own identity: `current` is a link to a version with identity.crt, identity.key, fleet-ca.crt. */
  identityFolder: string;
  /** Folder of changes: one folder per change identifier, with its journal and the files before. */
  changesFolder: string;
  /** What the daemon knows from before: settings, statuses, failed changes; JSON. */
  stateFile: string;
  /** Folder of copies of what somebody else wrote into our files and a change wrote over. */
  overwrittenFolder: string;
  /** Socket on which the daemon answers the commands status, apply and verify. */
  controlSocket: string;
  /** Folder of the certificates that components use. */
  pkiFolder: string;
}

/** The layout below a root, by default the node's own. */
export function layoutBelow(root = ''): Layout {
  const state = join(root, '/var/lib/kube-mtls-agent');
  return {
    root,
    configFile: join(root, '/etc/kube-mtls/agent.yaml'),
    enrolmentFile: join(state, 'enrolment.json'),
    identityFolder: join(state, 'identity'),
    changesFolder: join(state, 'changes'),
    stateFile: join(state, 'state.json'),
    overwrittenFolder: join(state, 'overwritten'),
    controlSocket: join(root, '/run/kube-mtls-agent/control.sock'),
    pkiFolder: join(root, '/etc/kube-mtls/pki'),
  };
}

/** Folder of a component's certificates: versions, and the link `current` which is the one switch. */
export function componentFolder(layout: Layout, component: Component): string {
  return join(layout.pkiFolder, component);
}

/** Path of a file as the component reads it, through the link. */
export function currentFile(layout: Layout, component: Component, file: string): string {
  return join(componentFolder(layout, component), 'current', file);
}
